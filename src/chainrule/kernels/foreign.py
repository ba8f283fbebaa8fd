"""Functions from elsewhere, called by their address: a user's own layers and losses.

All have one signature, so that the interpreter, compiled once, calls every one of them. A table of
int64s stands for each: the function's address, then what :mod:`chainrule.kernels.callback` says.
"""

import ctypes

from numba import types
from numba.extending import intrinsic

from chainrule.kernels.callback import NUMBERS, call_address
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.vectors import INDEX


@kernel
def call(table, rows, x, y, saved, dy, dx, params, grads):
    return _call(table, rows, x, y, saved, dy, dx, params, grads)


@kernel
def add_up(parts, column, adds, out):
    for j in range(out.size):
        total = parts[0, column + j]
        for i in range(1, parts.shape[0]):
            total += parts[i, column + j]
        out[j] = out[j] + total if adds else total


@intrinsic
def _call(typing_context, table, rows, x, y, saved, dy, dx, params, grads):
    """Call the function whose address stands first in ``table``."""
    signature = types.int64(*[types.int64] * NUMBERS)

    def codegen(context, builder, signature, values):
        table, *numbers = values
        address = builder.load(builder.inttoptr(table, INDEX.as_pointer()))
        return call_address(builder, address, [*numbers, table])

    return signature, codegen


def _call_in_python(table, *numbers):
    address = ctypes.c_int64.from_address(int(table)).value
    function = ctypes.CFUNCTYPE(*[ctypes.c_int64] * (1 + NUMBERS))(address)
    return function(*map(int, numbers), int(table))


if JIT_DISABLED:
    _call = _call_in_python
