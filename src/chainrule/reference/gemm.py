"""Matrix products. ``scratch`` is a workspace that the compiled twins need."""

import numpy as np


def multiply(a, b, bias, floor, scratch, c):
    """``c = max(a @ b + bias, floor)``; an empty bias is none, and so is a floor of -inf.

    The bias has an element for each column, or for each element of c: it may be c itself.
    """
    product = a @ b
    c[...] = product + bias.reshape(-1, c.shape[1]) if bias.size > 0 else product
    np.maximum(c, floor, out=c)


def multiply_transposed(a, first, b, adds, scratch, c):
    """``c = a.T @ b``, from row ``first`` of the result and as many rows as c has.

    With ``adds``, here and below, it is added to what was in c.
    """
    product = a.T[first : first + len(c)] @ b
    c[...] = c + product if adds else product


def multiply_by_transposed(a, b, adds, scratch, c):
    """``c = a @ b.T``."""
    c[...] = c + a @ b.T if adds else a @ b.T
