"""Matrix products."""

import numpy as np


def multiply(a, b, bias, c):
    """``c = a @ b + bias``; an empty bias is none."""
    np.matmul(a, b, out=c)
    if bias.size > 0:
        c += bias


def multiply_transposed(a, b, c):
    """``c = a.T @ b``."""
    np.matmul(a.T, b, out=c)
