"""The linear layer ``y = x @ w + b``, and its three derivatives."""

import numpy as np

from chainrule.kernels.gemm import multiply, multiply_by_transposed, multiply_transposed
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.sums import add_rows
from chainrule.kernels.views import flat


@kernel(inline=True)
def linear(x, w, b, floor, scratch, y):
    multiply(x, w, b, y.dtype.type(floor), scratch, y)


@kernel(inline=True)
def linear_add(x, w, scratch, y):
    multiply(x, w, flat(y), y.dtype.type(-np.inf), scratch, y)


@kernel(inline=True)
def linear_backward_weight(x, dy, first, adds, scratch, dw):
    multiply_transposed(x, first, dy, adds, scratch, dw)


@kernel
def linear_backward_bias(dy, adds, db):
    rows, columns = dy.shape
    add_rows(dy.dtype.type(0), dy.ctypes.data, rows, columns, np.int64(adds), db.ctypes.data)


@kernel(inline=True)
def linear_backward_input(dy, w, adds, scratch, dx):
    multiply_by_transposed(dy, w, adds, scratch, dx)


if JIT_DISABLED:  # addresses are for machine code

    def linear_backward_bias(dy, adds, db):
        db[...] = db + dy.sum(axis=0) if adds else dy.sum(axis=0)
