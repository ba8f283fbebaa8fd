"""The linear layer ``y = x @ w + b``, and its three derivatives."""

import numpy as np


def linear(x, w, b, y):
    """``y = x @ w + b``; an empty b is none."""
    np.matmul(x, w, out=y)
    if b.size > 0:
        y += b


def linear_backward_weight(x, dy, dw):
    """``dw = x.T @ dy``: a weight's gradient is its input times its output's gradient, summed."""
    np.matmul(x.T, dy, out=dw)


def linear_backward_bias(dy, db):
    """``db = sum(dy)`` over the rows."""
    np.sum(dy, axis=0, out=db)


def linear_backward_input(dy, w, scratch, dx):
    """``dx = dy @ w.T``; scratch is room that the compiled twin needs."""
    np.matmul(dy, w.T, out=dx)
