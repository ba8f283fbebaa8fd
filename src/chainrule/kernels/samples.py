"""Gradients of single samples: one row each, where a batch's gradient is their sum."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.norm import sum_of_squares


@kernel
def outer(x, dy, adds, dw):
    for i in range(x.size):
        row, factor = dw[i], x[i]
        if adds:
            for j in range(dy.size):
                row[j] += factor * dy[j]
        else:
            for j in range(dy.size):
                row[j] = factor * dy[j]


@kernel
def row_squares(x, squares):
    for i in range(x.shape[0]):
        squares[i] = sum_of_squares(x[i])
