"""A plan's functions in Python, which stand in a program with a number each."""

from typing import Any
from weakref import WeakValueDictionary

from chainrule.kernels.context import DONE

FUNCTIONS: WeakValueDictionary[int, Any] = WeakValueDictionary()  # by their numbers


def address(array):
    """Return where an array begins."""
    return array.ctypes.data


def call(program, i, context):
    """Call the function of row i; return 0 if all went well."""
    FUNCTIONS[int(program[i, 0])](context)
    return 0


def call_python(program, i, context):
    """Call the function of row i, and say in the context that it has done all."""
    call(program, i, context)
    context[DONE] = 1
