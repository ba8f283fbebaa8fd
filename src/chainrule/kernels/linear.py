"""The linear layer ``y = x @ w + b``, and its three derivatives."""

import numpy as np

from chainrule.kernels.gemm import multiply, multiply_by_transposed, multiply_transposed
from chainrule.kernels.jit import kernel


@kernel(inline=True)
def linear(x, w, b, scratch, y):
    multiply(x, w, b, y.dtype.type(-np.inf), scratch, y)


@kernel(inline=True)
def linear_relu(x, w, b, scratch, y):
    multiply(x, w, b, y.dtype.type(0), scratch, y)


@kernel(inline=True)
def linear_backward_weight(x, dy, first, scratch, dw):
    multiply_transposed(x, first, dy, scratch, dw)


@kernel
def linear_backward_bias(dy, first, db):
    db[:] = 0
    for i in range(dy.shape[0]):
        row = dy[i, first : first + db.size]
        for j in range(db.size):
            db[j] += row[j]


@kernel(inline=True)
def linear_backward_input(dy, w, scratch, dx):
    multiply_by_transposed(dy, w, scratch, dx)
