"""Calls of a plan's functions in Python: the counterpart of ``kernels.native``."""

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.kernels.context import DONE


class PythonProgram(np.ndarray):
    """A program's table with the functions of its rows.

    Attributes
    ----------
    functions : list of functions
        Each takes a context.
    """

    functions: list[Callable[..., Any]]


def address(array):
    """Return where an array begins."""
    return array.ctypes.data


def call(program, i, context):
    """Call the function of row i; return 0 if all went well."""
    program.functions[i](context)
    return 0


def call_python(program, i, context):
    """Call the function of row i, and set DONE in the context."""
    call(program, i, context)
    context[DONE] = 1
