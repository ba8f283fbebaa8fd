"""The linear layer ``y = x @ w + b``, and its three derivatives.

``scratch`` is a workspace that the compiled twins need. The derivative by the weight can be
computed in parts, by several threads: ``first`` is the part's first row, an input. With ``adds``, a
derivative is added to what was there, as a value or a parameter may be used several times.
"""

import numpy as np


def linear(x, w, b, floor, scratch, y):
    """``y = max(x @ w + b, floor)``; an empty b is none."""
    product = x @ w
    np.maximum(product + b if b.size > 0 else product, floor, out=y)


def linear_add(x, w, scratch, y):
    """``y = y + x @ w``."""
    y += x @ w


def linear_backward_weight(x, dy, first, adds, scratch, dw):
    """``dw = x.T @ dy``: a weight's gradient is its input times its output's gradient, summed."""
    product = x.T[first : first + len(dw)] @ dy
    dw[...] = dw + product if adds else product


def linear_backward_bias(dy, adds, db):
    """``db = sum(dy)`` over the rows."""
    db[...] = db + dy.sum(axis=0) if adds else dy.sum(axis=0)


def linear_backward_input(dy, w, adds, scratch, dx):
    """``dx = dy @ w.T``."""
    dx[...] = dx + dy @ w.T if adds else dy @ w.T
