"""Mish and its derivatives, with ``t = tanh(softplus(x))`` and ``s = sigmoid(x)``."""

import numpy as np

from chainrule.reference.elementary import sigmoid, softplus


def _slope(x):
    """Return ``dt/dx = (1 - t**2) * s = s / cosh(softplus(x))**2``."""
    with np.errstate(over="ignore"):  # the slope is 0 there
        return sigmoid(x) / np.cosh(softplus(x)) ** 2


def _bend(x):
    """Return ``1 - s - 2 * t * s``: the second derivative of t is ``dt/dx`` times it."""
    return sigmoid(-x) - 2 * np.tanh(softplus(x)) * sigmoid(x)


def _within(x):
    """X, or 1000 or -1000 beyond these: all is flat there, and products with x overflow."""
    return np.clip(x, -1000, 1000)


def mish(x, y):
    """``y = x * t``."""
    y[...] = x * np.tanh(softplus(x))


def mish_backward(dy, x, dx):
    """``dx = dy * (t + x * dt/dx)``."""
    x = _within(x)
    dx[...] = dy * (np.tanh(softplus(x)) + x * _slope(x))


def mish_second(dy, x, dx):
    """``dx = dy * dt/dx * (2 + x * bend)``."""
    x = _within(x)
    dx[...] = dy * _slope(x) * (2 + x * _bend(x))


def mish_third(dy, x, dx):
    """``dx = dy * dt/dx * (3 * bend + x * (bend**2 + dbend/dx))``."""
    x = _within(x)
    s, t = sigmoid(x), np.tanh(softplus(x))
    d_bend = -s * sigmoid(-x) * (1 + 2 * t) - 2 * _slope(x) * s
    dx[...] = dy * _slope(x) * (3 * _bend(x) + x * (_bend(x) ** 2 + d_bend))
