"""What the machine code of a user's function follows from, for keeping it on disk.

That is its bytecode, and all that it takes from outside: defaults, variables of functions around
it, global ones, and the functions that it calls, which take something from outside themselves.
Numba freezes all of this when it compiles. What is not plainly known, such as an array, an object,
or a module of the user's, has no fingerprint; then nothing is kept.
"""

from __future__ import annotations

import dis
import hashlib
import sys
from collections.abc import Callable, Iterator
from types import CodeType, EllipsisType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

from chainrule.kernels.same import MODULES

PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None), EllipsisType})
# Of this package, what the name of the cache's folder depends on.
OWN = tuple(f"chainrule.{folder}." for folder in ("kernels", "engine", "operations", "plan"))
OTHERS = MODULES - {"chainrule"} | {"builtins", "_operator"}
READ, REFUSED = ("LOAD_GLOBAL", "LOAD_NAME"), ("IMPORT_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")

# By a function and its types, the fingerprint that it had when it was compiled for them.
_compiled: WeakKeyDictionary[Dispatcher, dict[Any, str]] = WeakKeyDictionary()


class UnknownError(Exception):
    """Something has no fingerprint."""


def fingerprint_of(function: Callable[..., Any]) -> Fingerprint | None:
    """Return the fingerprint of a user's function; None if it has none."""
    try:
        found = Fingerprint(function)
    except (UnknownError, RecursionError):
        return None
    return found if found.is_current else None


class Fingerprint:
    """The fingerprint of a function.

    Attributes
    ----------
    key : str
        The same in all processes.

    Raises
    ------
    UnknownError
        If there is none.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._keys: dict[Dispatcher, str] = {}  # of all compiled functions that take part
        self._within: list[FunctionType] = []  # functions that are being read
        self.key = _hash(np.__version__, self._value(function))

    @property
    def is_current(self) -> bool:
        """Whether all that is compiled already was compiled from what there is now.

        Numba compiles no function anew for the same types, even where a global variable, or a
        function that it calls, is another one by now.
        """
        return all(
            _compiled.get(dispatcher, {}).get(signature) == key
            for dispatcher, key in self._keys.items()
            for signature in dispatcher.overloads
        )

    def note(self) -> None:
        """Note that all that is compiled by now was compiled from what there is now."""
        for dispatcher, key in self._keys.items():
            _compiled[dispatcher] = dict.fromkeys(dispatcher.overloads, key)

    def _value(self, value: Any) -> object:
        """Return what is equal for two values that compile to the same code."""
        kind = type(value)
        if kind in PLAIN:
            return kind.__name__, repr(value)
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            return value.dtype.str, value.tobytes()
        if kind is tuple:
            return "tuple", [self._value(each) for each in value]
        if kind is frozenset:
            return "frozenset", sorted(repr(self._value(each)) for each in value)
        if kind is CodeType:
            return self._code(value)
        if isinstance(value, ModuleType) and _root(value.__name__) in MODULES:
            return "module", value.__name__
        if (name := _known_name(value)) is not None:
            return name
        if isinstance(value, Dispatcher):
            return self._dispatcher(value)
        raise UnknownError(value)

    def _dispatcher(self, dispatcher: Dispatcher) -> object:
        made: Any = dispatcher
        pipeline = _known_name(made._compiler.pipeline_class)
        keeps_its_code = type(made._cache) is not caching.NullCache
        if keeps_its_code or made._compiler.locals or pipeline is None:
            raise UnknownError(dispatcher)
        options = {name: _option(value) for name, value in made.targetoptions.items()}
        content = pipeline, sorted(options.items()), self._function(made.py_func)
        self._keys[dispatcher] = _hash(content)
        return "compiled", content

    def _function(self, function: FunctionType) -> object:
        if function in self._within:
            return "recursion", self._within.index(function)
        self._within.append(function)
        outside = [function.__defaults__, *sorted((function.__kwdefaults__ or {}).items())]
        try:
            outside += [cell.cell_contents for cell in function.__closure__ or ()]
            outside += [_global(function, name) for name in sorted({*_globals(function.__code__)})]
            content = self._code(function.__code__), [self._value(value) for value in outside]
        except (ValueError, KeyError) as error:  # a variable that has no value yet
            raise UnknownError(function) from error
        self._within.pop()
        return content

    def _code(self, code: CodeType) -> object:
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        numbers = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        instructions = code.co_code, code.co_exceptiontable
        return names, numbers, instructions, [self._value(value) for value in code.co_consts]


def _known_name(value: Any) -> object | None:
    """Return the name of what belongs to Python, NumPy, Numba or this package; None otherwise."""
    if isinstance(value, np.ufunc):
        known = getattr(np, value.__name__, None) is value
        return ("ufunc", value.__name__) if known else None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    if not module.startswith(OWN) and _root(module) not in OTHERS:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return ("name", module, name) if found is value else None


def _root(module: str) -> str:
    return module.partition(".")[0]


def _option(value: Any) -> object:
    """Return an option of a compiled function, such as ``fastmath``, in a form with an order."""
    if isinstance(value, set | frozenset):
        return "set", sorted(map(str, value))
    if type(value) in PLAIN:
        return value
    raise UnknownError(value)


def _globals(code: CodeType) -> Iterator[str]:
    """Yield the names of the global variables that code reads."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in REFUSED:
            raise UnknownError(code)
        if instruction.opname in READ:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _global(function: FunctionType, name: str) -> Any:
    values, builtins = function.__globals__, function.__builtins__  # type: ignore[attr-defined, unused-ignore]
    return values[name] if name in values else builtins[name]


def _hash(*content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()
