"""A plan's functions, bound to addresses: machine code, or Python for what cannot be compiled."""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.python_calls import PythonProgram
from chainrule.engine.views import Arguments, Array
from chainrule.kernels import context as words
from chainrule.operations.operation import Function
from chainrule.plan.call import Call

CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int64)  # the argument is the context's address
CONTEXT = ctypes.c_int64 * words.CONTEXT_SIZE


class PythonCall:
    """A call of a function in Python.

    Parameters
    ----------
    function : Function
    arguments : Arguments
    code : the function's code, or its NumPy twin.
    """

    def __init__(self, function: Function, arguments: Arguments, code: Any) -> None:
        self._label, self._arguments, self._code = function.label, arguments, code

    def __call__(self, context: NDArray[np.int64]) -> None:
        """Call the function with its arguments in this context."""
        self.do(context.tolist())

    def do(self, context: list[int]) -> None:
        """Do the same, for a context as a list."""
        arguments = self._arguments.of(context)
        if arguments is None:
            return
        try:
            self._code(*arguments)
        except BaseException as error:
            if self._label:
                error.add_note(f"It was raised in {self._label}.")
            raise


class NativeCallback:
    """A function pointer for compiled code to call Python, valid as long as this object lives.

    Attributes
    ----------
    handle : int
        The address.
    """

    def __init__(self, call: PythonCall, errors: list[BaseException]) -> None:
        answers = _answer_calls(call, errors)
        next(answers)  # advance to the first yield
        self._callback = CALLBACK(answers.send)
        self.handle = int(ctypes.cast(self._callback, ctypes.c_void_p).value or 0)


def _answer_calls(call: PythonCall, errors: list[BaseException]) -> Generator[None, int, None]:
    """Handle calls from compiled code: ``send`` takes the address of each call's context.

    ctypes only prints an exception of a callback. A signal handler may raise at the first
    instruction of any function, before its ``try``; this ``try`` is entered before the calls.
    """
    last, context = 0, CONTEXT()
    while True:
        try:
            address = yield
            while True:
                if address != last:  # usually it is the same
                    last, context = address, CONTEXT.from_address(address)
                call.do(context[:])
                context[words.DONE] = 1  # nothing after this can raise before the next call
                address = yield
        except GeneratorExit:
            return
        except BaseException as error:
            errors.append(error)


class Binding:
    """A program with its functions.

    Parameters
    ----------
    program : the calls.
    table : their rows, without the functions.
    dtype : of the plan.
    backend : "numba" or "numpy"
    compiled : whether the interpreter is.
    arrays : by the words of the context that hold their addresses; the machine updates them.
    errors : the list to which exceptions of Python functions are appended.

    Attributes
    ----------
    table : array
        The rows with the functions.
    """

    def __init__(
        self,
        program: Sequence[Call],
        table: NDArray[np.int64],
        dtype: np.dtype,
        backend: str,
        compiled: bool,
        arrays: Mapping[int, Array],
        errors: list[BaseException],
    ) -> None:
        self._program, self._dtype, self._arrays = program, dtype, arrays
        self.table = table.copy() if compiled else table.copy().view(PythonProgram)
        self.has_functions_of_users = any(call.function.label for call in program)
        self._kept: list[Any] = []  # references to the objects whose addresses are in the table
        self._arguments: list[Arguments] = []  # of functions in Python
        for row, call in zip(self.table, program, strict=True):
            bound: Any
            if compiled and call.function.can_compile:
                from chainrule.kernels.compilation import native_function  # loads Numba

                bound = native_function(call.function, call.kinds, dtype)
            else:
                arguments = Arguments(call.kinds, row.tolist(), dtype, arrays)
                self._arguments.append(arguments)
                bound = PythonCall(call.function, arguments, code_of(call.function, backend))
                if compiled:
                    bound = NativeCallback(bound, errors)
            self._kept.append(bound)
            if compiled:
                row[0] = bound.handle
        if isinstance(self.table, PythonProgram):
            self.table.functions = self._kept

    def forget_arguments(self) -> None:
        """Drop the references to what the functions in Python were called with."""
        for arguments in self._arguments:
            arguments.forget()

    def find_error(self, contexts: NDArray[np.int64], before: int = 0) -> Exception | None:
        """Return the exception of a failed compiled function, by calling its Python form.

        The arrays must still be those of the call. So many rows of another program have the numbers
        ``before`` those of this one.
        """
        for context in contexts.tolist():
            failed = -1 - context[words.DONE] - before
            if 0 <= failed < len(self._program):
                return self._raised_by(failed, context)
        return None

    def _raised_by(self, number: int, context: list[int]) -> Exception | None:
        call = self._program[number]
        label = call.function.label or call.function.code.__name__
        row = self.table[number].tolist()
        arguments = Arguments(call.kinds, row, self._dtype, self._arrays).of(context)
        code = getattr(call.function.code, "py_func", call.function.code)
        try:
            code(*(arguments or ()))
        except Exception as error:
            error.add_note(f"It was raised in {label}.")
            return error
        return RuntimeError(
            f"{label} raised an error in its compiled form, but raises none in Python."
        )


def code_of(function: Function, backend: str) -> Any:
    """Return the code that Python calls for a function: with backend "numpy", a kernel's twin."""
    return function.code if function.label or backend == "numba" else twin_of(function.code)


@cache
def twin_of(kernel: Any) -> Any:
    """Return the NumPy twin of a kernel, which has its name in the file of the same name."""
    module = kernel.__module__.replace(".kernels.", ".reference.")
    module = module.replace(".operations.", ".reference.")
    return getattr(import_module(module), kernel.__name__)
