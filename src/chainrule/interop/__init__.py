"""chainrule at home in other packages: a module for each, loaded on first use."""

from importlib import import_module
from typing import Any

_MODULES = ("onnx", "sklearn", "torch")


def __getattr__(name: str) -> Any:
    """Import a module on its first use: it loads the package that it is for."""
    if name in _MODULES:
        return import_module(f"chainrule.interop.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name the modules before their first use, too."""
    return sorted({*globals(), *_MODULES})
