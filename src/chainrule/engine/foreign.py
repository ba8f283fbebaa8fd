"""A user's own functions, from what a plan says of them to an address that is called.

A compiled one becomes a C function (``chainrule.kernels.callback``), which needs no GIL. One in
Python becomes a callback of ctypes, which takes the GIL while it runs. Either way, the interpreter
calls an address, and never stops for it.
"""

import ctypes
from collections.abc import Generator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.plan.functions import Argument, Function
from chainrule.reference.foreign import CALL, CALL_SIZE, FUNCTION

LABEL = np.dtype(np.int64)


class BoundFunction:
    """A function with an address, as long as this object lives.

    Parameters
    ----------
    function : Function
    dtype : of the arena
    compiled : whether the interpreter is
    memories : what the function's arrays lie in
    errors : gets what the function raises in Python.
    """

    def __init__(
        self,
        function: Function,
        dtype: np.dtype,
        compiled: bool,
        memories: list[NDArray[Any]],
        errors: list[BaseException],
    ) -> None:
        self._function = function
        self._views = _Views(function.arguments, dtype, memories)
        if compiled and function.can_compile:
            from chainrule.kernels.callback import compiled_form  # loads Numba

            kinds = tuple(argument.kind for argument in function.arguments)
            try:
                self._callback = compiled_form(function.function, kinds, dtype)
            except Exception as error:
                error.add_note(f"Numba could not compile {function.label}.")
                raise
            address = self._callback.address
        else:
            answers = _answer_calls(function, self._views, errors)
            next(answers)  # on to where it waits for the first call
            self._callback = FUNCTION(answers.send)
            address = ctypes.cast(self._callback, ctypes.c_void_p).value
        lengths = [n for each in function.arguments for n in (each.start, *each.shape)]
        # After the address: no call has raised an error. See chainrule.kernels.callback.
        self._table = np.array([address, *[0] * (CALL_SIZE - 1), *lengths], np.int64)

    @property
    def table(self) -> int:
        """The address of the table that stands for the function."""
        return int(self._table.ctypes.data)

    def find_error(self) -> Exception | None:
        """Return the error of the compiled function if one has ended it, from its form in Python.

        The arrays must still be those of the call.
        """
        raised, *numbers = self._table[1:CALL_SIZE].tolist()
        if not raised:
            return None
        try:
            self._function.function(*self._views.of_call(numbers))
        except Exception as error:
            error.add_note(f"It was raised in {self._function.label}.")
            return error
        return RuntimeError(
            f"{self._function.label} raised an error in its compiled form, but raises none in "
            "Python."
        )


def _answer_calls(
    function: Function, views: "_Views", errors: list[BaseException]
) -> Generator[None, int, None]:
    """Answer calls from compiled code: ``send`` takes the address of each.

    ctypes only prints what a callback raises. A signal handler may raise at the first instruction
    of any function, so a ``try`` in it begins too late; this one has begun when a call comes.
    """
    last, call = 0, CALL()
    while True:
        try:
            address = yield
            while True:
                if address != last:  # mostly, the caller's stack is where it was
                    last, call = address, CALL.from_address(address)
                function.function(*views.of_call(call[1:-1]))
                call[-1] = 1  # and nothing that can raise before the next call
                address = yield
        except GeneratorExit:
            return
        except BaseException as error:
            errors.append(error)
            error.add_note(f"It was raised in {function.label}.")


class _Views:
    """The arrays of a function in Python: views of the memories that they lie in.

    A function may keep them: they keep the memory.
    """

    def __init__(
        self, arguments: tuple[Argument, ...], dtype: np.dtype, memories: list[NDArray[Any]]
    ) -> None:
        self._arguments, self._dtype, self._memories = arguments, dtype, memories
        self._last: tuple[list[int], list[NDArray[Any]]] = [], []

    def of_call(self, numbers: list[int]) -> list[NDArray[Any]]:
        """Return the arrays for so many rows and at these addresses, kept for the next call."""
        if self._last[0] != numbers:
            rows, *addresses = numbers
            arrays = [self._array(each, rows, addresses[each.address]) for each in self._arguments]
            self._last = numbers, arrays
        arrays = self._last[1]
        for argument, array in zip(self._arguments, arrays, strict=True):
            if argument.cleared:
                array[...] = 0
        return arrays

    def _array(self, argument: Argument, rows: int, address: int) -> NDArray[Any]:
        shape = (rows, *argument.shape) if argument.by_row else argument.shape
        dtype = LABEL if argument.is_label else self._dtype
        if prod(shape) == 0:
            return np.empty(shape, dtype)
        begin = address + argument.start * dtype.itemsize
        for memory in self._memories:
            offset = begin - memory.ctypes.data
            if 0 <= offset < memory.nbytes:
                return np.ndarray(shape, dtype, memory, offset)
        raise AssertionError(f"An array of {shape} lies in no memory of the machine.")


def bind(
    table: NDArray[Any],
    functions: Sequence[dict[str, Function]],
    dtype: np.dtype,
    compiled: bool,
    memories: list[NDArray[Any]],
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
            bound.append(BoundFunction(function, dtype, compiled, memories, errors))
            row[field] = bound[-1].table
    return table, bound
