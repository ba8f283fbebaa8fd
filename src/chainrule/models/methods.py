"""Methods of networks that packages above this one implement.

A network can be differentiated and exported, but models know nothing of derivatives or of file
formats of others. Those packages register a function for the method when chainrule is imported.
"""

from collections.abc import Callable
from typing import Any

_implementations: dict[str, Callable[..., Any]] = {}


def register_method(name: str, function: Callable[..., Any]) -> None:
    """Let the network's method of this name call a function, with the network first."""
    _implementations[name] = function


def call_method(name: str, network: object, *arguments: Any, **options: Any) -> Any:
    """Call the function that is registered for a method."""
    return _implementations[name](network, *arguments, **options)
