"""Validation of the functions of custom layers, losses and activations, and of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chainrule.layers.layer import Parameter

RESERVED = frozenset({"x", "y", "dy", "dx", "x_dot", "y_dot", "saved", "self"})


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters; it may be compiled by Numba."""
    signature = inspect.signature(getattr(function, "py_func", function))
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{function_name(function)} must name what it takes, without a star.")
    return tuple(signature.parameters)


def function_name(function: Callable[..., Any]) -> str:
    """Return a function's name for messages and for layers."""
    return getattr(function, "__name__", type(function).__name__)


def check_function(
    function: Any,
    owner: str,
    allowed: Sequence[str],
    required: Sequence[str],
    read: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the names of a function's parameters.

    TypeError unless they are among ``allowed`` and include all ``required``, which it writes, and
    all that it must ``read``. ``owner`` is what messages call the function.
    """
    if not callable(function):
        raise TypeError(f"{owner} must be a function, not {function!r}.")
    names = parameter_names(function)
    for name in names:
        if name not in allowed:
            raise TypeError(
                f"{owner} takes {name!r}, but there is only {', '.join(allowed)}: it gets its "
                "arrays by their names."
            )
    for name in required:
        if name not in names:
            raise TypeError(f"{owner} must take {name!r}, an array for it to write into.")
    for name in read:
        if name not in names:
            raise TypeError(f"{owner} must take {name!r}, on which its result depends.")
    return names


def check_parameters(parameters: Any, owner: str) -> dict[str, Parameter]:
    """Return a layer's parameters, checked."""
    if not isinstance(parameters, Mapping):
        raise TypeError(f"{owner} must be a dict of name: cr.Parameter, not {parameters!r}.")
    for name, parameter in parameters.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"{owner} has the name {name!r}, which is no name of an argument.")
        others = name.removeprefix("d_"), name.removesuffix("_dot")
        if name in RESERVED or any(other != name and other in parameters for other in others):
            raise ValueError(f"{owner} has the name {name!r}, which stands for something else.")
        if not isinstance(parameter, Parameter):
            raise TypeError(f"{owner}[{name!r}] must be a cr.Parameter, not {parameter!r}.")
    return dict(parameters)
