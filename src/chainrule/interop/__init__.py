"""chainrule together with other packages: a module for each, loaded on first use."""

from importlib import import_module
from os import PathLike
from typing import Any

from chainrule.models.methods import register_method
from chainrule.models.sequential import Sequential
from chainrule.utils.public import listing

_MODULES = ("onnx", "scipy", "sklearn", "torch")

__dir__ = listing(_MODULES)


def __getattr__(name: str) -> Any:
    """Import a module on its first use: it loads the package that it is for."""
    if name in _MODULES:
        return import_module(f"chainrule.interop.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _to_onnx(network: Sequential, path: str | PathLike[str], **options: Any) -> None:
    """Load the exporter when it is first used."""
    from chainrule.interop.onnx.export import to_onnx

    to_onnx(network, path, **options)


register_method("to_onnx", _to_onnx)
