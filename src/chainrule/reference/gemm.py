"""Matrix products. ``scratch`` is room that the compiled twins need."""

import numpy as np


def multiply(a, b, bias, floor, scratch, c):
    """``c = max(a @ b + bias, floor)``; an empty bias is none, and so is a floor of -inf."""
    np.matmul(a, b, out=c)
    if bias.size > 0:
        c += bias
    np.maximum(c, floor, out=c)


def multiply_transposed(a, first, b, scratch, c):
    """``c = a.T @ b``, from row ``first`` of the result and as many rows as c has."""
    np.matmul(a.T[first : first + len(c)], b, out=c)


def multiply_by_transposed(a, b, scratch, c):
    """``c = a @ b.T``."""
    np.matmul(a, b.T, out=c)
