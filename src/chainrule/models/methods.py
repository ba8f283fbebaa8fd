"""Methods of networks that packages above this one implement.

Networks have methods for derivatives and export, which packages above ``models`` implement. These
register a function for the method when chainrule is imported.
"""

from collections.abc import Callable
from typing import Any

_implementations: dict[str, Callable[..., Any]] = {}


def register_method(name: str, function: Callable[..., Any]) -> None:
    """Register the function that a network's method calls; its first argument is the network."""
    _implementations[name] = function


def call_method(name: str, network: object, *arguments: Any, **options: Any) -> Any:
    """Call the function that is registered for a method."""
    return _implementations[name](network, *arguments, **options)
