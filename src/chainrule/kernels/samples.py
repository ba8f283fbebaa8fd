"""Gradients of single samples: one row each, where a batch's gradient is their sum."""

import numpy as np

from chainrule.kernels.jit import kernel


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
        row = x[i]
        total = 0.0
        for j in range(row.size):
            number = np.float64(row[j])  # squares of float32 may overflow
            total += number * number
        squares[i] = total
