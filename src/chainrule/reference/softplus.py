"""Softplus: ``log(1 + exp(x))``."""

import numpy as np

from chainrule.reference import elementary


def softplus(x, y):
    """``y = log(1 + exp(x))``."""
    y[...] = elementary.softplus(x)


def softplus_backward(dy, y, dx):
    """``dx = dy * sigmoid(x)``, and ``sigmoid(x) = 1 - exp(-softplus(x))``."""
    dx[...] = dy * -np.expm1(-y)


def softplus_second(dy, y, dx):
    """``g(y) = 1 - exp(-y)``, so that ``dx = dy * exp(-y)``."""
    dx[...] = dy * np.exp(-y)


def softplus_third(dy, y, dx):
    """``dx = dy * -exp(-y)``."""
    dx[...] = dy * -np.exp(-y)
