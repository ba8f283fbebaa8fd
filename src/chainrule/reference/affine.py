"""The linear layer ``y = x @ w + b``, and its three derivatives.

``scratch`` is room that the compiled twins need. The derivative by the weight can be computed in
parts, by several threads: ``first`` is the first input that a part is about.
"""

import numpy as np


def linear(x, w, b, scratch, y):
    """``y = x @ w + b``; an empty b is none."""
    np.matmul(x, w, out=y)
    if b.size > 0:
        y += b


def linear_relu(x, w, b, scratch, y):
    """``y = max(x @ w + b, 0)``."""
    linear(x, w, b, scratch, y)
    np.maximum(y, 0, out=y)


def linear_backward_weight(x, dy, first, scratch, dw):
    """``dw = x.T @ dy``: a weight's gradient is its input times its output's gradient, summed."""
    np.matmul(x.T[first : first + len(dw)], dy, out=dw)


def linear_backward_bias(dy, db):
    """``db = sum(dy)`` over the rows."""
    np.sum(dy, axis=0, out=db)


def linear_backward_input(dy, w, scratch, dx):
    """``dx = dy @ w.T``."""
    np.matmul(dy, w.T, out=dx)
