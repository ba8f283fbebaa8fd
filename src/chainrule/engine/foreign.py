"""A user's own functions, from what a plan says of them to an address that is called.

A compiled one becomes a C function (``chainrule.kernels.callback``), which needs no GIL. One in
Python becomes a callback of ctypes, which takes the GIL while it runs. Either way, the interpreter
calls an address, and never stops for it.
"""

import ctypes
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.reference.foreign import FUNCTION

LABEL = np.dtype(np.int64)


class Address(IntEnum):
    """Where an array begins: the addresses in the order in which ``kernels.foreign.call`` has them.

    A loss has its output as x, its rows' losses as y, its target as saved and its label as dy.
    """

    X = 0
    Y = 1
    SAVED = 2
    DY = 3
    DX = 4
    PARAMETERS = 5
    GRADIENTS = 6


class Kind(NamedTuple):
    """What compiled code must know of an array, besides its lengths."""

    address: Address
    ndim: int
    by_row: bool  # whether its first axis are the rows of the batch
    cleared: bool  # whether the function finds zeros in it
    is_label: bool  # int64


class Argument(NamedTuple):
    """An array that a user's function takes; its shape leaves out the batch."""

    address: Address
    shape: tuple[int, ...]
    by_row: bool = True
    start: int = 0  # in elements after the address
    cleared: bool = False
    is_label: bool = False

    @property
    def kind(self) -> Kind:
        """What it has in common with those that the same compiled code serves."""
        ndim = len(self.shape) + self.by_row
        return Kind(self.address, ndim, self.by_row, self.cleared, self.is_label)


class Function(NamedTuple):
    """A user's function as a plan holds it.

    Attributes
    ----------
    function : it takes arrays, and writes into some of them.
    arguments : which arrays, in its own order.
    label : how messages call it.
    can_compile : whether Numba may compile it; else it is called in Python, by one thread.
    """

    function: Callable[..., object]
    arguments: tuple[Argument, ...]
    label: str
    can_compile: bool


class BoundFunction:
    """A function with an address, as long as this object lives.

    Parameters
    ----------
    function : Function
    dtype : of the arena
    compiled : whether the interpreter is
    errors : gets what the function raises.
    """

    def __init__(
        self, function: Function, dtype: np.dtype, compiled: bool, errors: list[BaseException]
    ) -> None:
        self._function, self._dtype, self._errors = function, dtype, errors
        self._last: tuple[Any, list[NDArray[Any]]] = None, []
        self._in_python = FUNCTION(self._call_in_python)
        python_address = ctypes.cast(self._in_python, ctypes.c_void_p).value
        address = python_address
        if compiled and function.can_compile:
            kinds = tuple(argument.kind for argument in function.arguments)
            try:
                self._callback = _compiled(function.function, kinds, dtype)
            except Exception as error:
                error.add_note(f"Numba could not compile {function.label}.")
                raise
            address = self._callback.address
        lengths = [n for each in function.arguments for n in (each.start, *each.shape)]
        self._table = np.array([address, python_address, *lengths], np.int64)

    @property
    def table(self) -> int:
        """The address of the table that stands for the function."""
        return int(self._table.ctypes.data)

    def _call_in_python(self, rows: int, *addresses: int) -> int:
        try:
            self._function.function(*self._arrays_at(rows, addresses))
        except BaseException as error:
            error.add_note(f"It was raised in {self._function.label}.")
            self._errors.append(error)
            return 1
        return 0

    def _arrays_at(self, rows: int, addresses: tuple[int, ...]) -> list[NDArray[Any]]:
        """Return the function's arrays: those of the last call if it was for the same memory."""
        if self._last[0] != (rows, addresses):
            arrays = [
                self._array(argument, rows, addresses[argument.address])
                for argument in self._function.arguments
            ]
            self._last = (rows, addresses), arrays
        arrays = self._last[1]
        for argument, array in zip(self._function.arguments, arrays, strict=True):
            if argument.cleared:
                array[...] = 0
        return arrays

    def _array(self, argument: Argument, rows: int, address: int) -> NDArray[Any]:
        shape = (rows, *argument.shape) if argument.by_row else argument.shape
        dtype = LABEL if argument.is_label else self._dtype
        if prod(shape) == 0:
            return np.empty(shape, dtype)
        size = prod(shape) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(address + argument.start * dtype.itemsize)
        return np.frombuffer(memoryview(memory), dtype).reshape(shape)


@cache
def _compiled(function: Callable[..., object], kinds: tuple[Kind, ...], dtype: np.dtype) -> Any:
    """Return a function's compiled form, which serves all lengths of its arrays."""
    from chainrule.kernels.callback import make_callback  # loads Numba

    return make_callback(function, kinds, dtype)


def bind(
    table: NDArray[Any],
    functions: Sequence[dict[str, Function]],
    dtype: np.dtype,
    compiled: bool,
    errors: list[BaseException],
) -> tuple[NDArray[Any], list[BoundFunction]]:
    """Return instructions, or heads, with addresses in the fields that ``functions`` names.

    The addresses are good as long as the bound functions live.
    """
    bound: list[BoundFunction] = []
    if any(functions):
        table = table.copy()
    for row, own in zip(table, functions, strict=True):
        for field, function in own.items():
            bound.append(BoundFunction(function, dtype, compiled, errors))
            row[field] = bound[-1].table
    return table, bound
