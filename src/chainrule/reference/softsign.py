"""Softsign and its derivatives, with ``r = 1 / (1 + abs(x))``."""

import numpy as np


def softsign(x, y):
    """``y = x * r``."""
    y[...] = x / (1 + abs(x))


def softsign_backward(dy, x, dx):
    """``dx = dy * r**2``."""
    r = 1 / (1 + abs(x))
    dx[...] = dy * r * r


def softsign_second(dy, x, dx):
    """``dx = -2 * dy * sign(x) * r**3``."""
    r = 1 / (1 + abs(x))
    dx[...] = -2 * dy * np.sign(x) * r * r * r


def softsign_third(dy, x, dx):
    """``dx = 6 * dy * r**4``."""
    r = 1 / (1 + abs(x))
    dx[...] = 6 * dy * r * r * r * r
