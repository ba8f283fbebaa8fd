"""Functions from elsewhere, called by their address: a user's own layers and losses.

All have one signature, so that the interpreter, compiled once, calls every one of them. A table of
int64s stands for each; what it and a call hold, :mod:`chainrule.kernels.callback` says.
"""

import ctypes

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from chainrule.kernels.callback import CALL_SIZE, DONE, word
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
    """Call the function whose address stands first in ``table``; return whether it was done."""

    def codegen(context, builder, signature, values):
        words = cgutils.alloca_once(builder, INDEX, size=CALL_SIZE)
        for i, value in enumerate([*values, ir.Constant(INDEX, 0)]):
            builder.store(value, word(builder, words, i))
        address = builder.load(builder.inttoptr(values[0], INDEX.as_pointer()))
        kind = ir.FunctionType(ir.VoidType(), [INDEX])
        function = builder.inttoptr(address, kind.as_pointer())
        builder.call(function, [builder.ptrtoint(words, INDEX)])
        return builder.load(word(builder, words, DONE))

    return types.int64(*[types.int64] * DONE), codegen


def _call_in_python(table, *numbers):
    words = (ctypes.c_int64 * CALL_SIZE)(int(table), *map(int, numbers))
    address = ctypes.c_int64.from_address(int(table)).value
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)(ctypes.addressof(words))
    return words[DONE]


if JIT_DISABLED:
    _call = _call_in_python
