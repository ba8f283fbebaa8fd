"""The linear layer ``y = x @ w + b``, and its three derivatives."""

from chainrule.kernels.gemm import multiply, multiply_transposed
from chainrule.kernels.jit import kernel
from chainrule.kernels.transpose import transpose


@kernel
def linear(x, w, b, y):
    multiply(x, w, b, y)


@kernel
def linear_backward_weight(x, dy, dw):
    multiply_transposed(x, dy, dw)


@kernel
def linear_backward_bias(dy, db):
    db[:] = 0
    for i in range(dy.shape[0]):
        row = dy[i]
        for j in range(db.size):
            db[j] += row[j]


@kernel
def linear_backward_input(dy, w, scratch, dx):
    w_transposed = scratch[: w.size].reshape((w.shape[1], w.shape[0]))
    transpose(w, w_transposed)
    multiply(dy, w_transposed, scratch[:0], dx)
