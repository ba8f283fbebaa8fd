"""Which of a user's functions compile to the same code.

A loop over settings, or a cell of a notebook that is run again, makes the same function as another
object each time. To compile it again takes half a second, and Numba never frees what it has
compiled.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable, Iterator
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numba.core.dispatcher import Dispatcher

MOST_KEPT = 128  # compiled forms of users' functions, of each kind

NUMBERS_AND_THE_LIKE = bool | int | float | complex | str | np.generic | None
UNCHANGING = BuiltinFunctionType | FunctionType | Dispatcher | np.ufunc | type
# Whose contents stay as they are; Numba takes them as they are when it compiles.
MODULES = frozenset({"chainrule", "cmath", "math", "numba", "numpy", "operator"})

_canonical: WeakValueDictionary[Hashable, FunctionType] = WeakValueDictionary()


def canonical(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return one and the same function for all that compile to the same code as this one.

    Two are the same if their own code is, and all that it takes from outside: numbers, strings,
    tuples, functions and well-known modules. A function that takes anything else is like no other.
    """
    if not isinstance(function, FunctionType):
        return function
    try:
        key = function.__code__, tuple(map(_key, _taken_from_outside(function)))
    except TypeError:
        return function
    return _canonical.setdefault(key, _copy(function))


def _copy(function: FunctionType) -> FunctionType:
    """Return a function that does the same, whatever becomes of what this one takes from outside.

    A global may change, and with it the user's own function; what was compiled of it may not.
    """
    names, values = {"__name__", *_names(function.__code__)}, function.__globals__
    copy = FunctionType(
        function.__code__,
        {name: values[name] for name in names & values.keys()},
        function.__name__,
        function.__defaults__,
        tuple(CellType(cell.cell_contents) for cell in function.__closure__ or ()),
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _taken_from_outside(function: FunctionType) -> Iterator[Any]:
    yield function.__defaults__
    yield tuple(sorted((function.__kwdefaults__ or {}).items()))
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    for name in _names(function.__code__):
        # Among the names are those of attributes, which may be no names outside.
        yield function.__globals__.get(name, getattr(builtins, name, None))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _key(value: Any) -> Hashable:
    """Return what is equal for two values that compile to the same code; TypeError if unknown."""
    if isinstance(value, NUMBERS_AND_THE_LIKE):
        return type(value), repr(value)  # 1 is not 1.0, nor is 0.0 the same as -0.0
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    if isinstance(value, UNCHANGING) or (
        isinstance(value, ModuleType) and value.__name__.partition(".")[0] in MODULES
    ):
        return value
    raise TypeError(f"{type(value)} may change.")
