"""One over the square root."""

import numpy as np


def rsqrt(x, y):
    """``y = 1 / sqrt(x)``."""
    y[...] = 1 / np.sqrt(x)


def rsqrt_backward(dy, y, dx):
    """``dx = dy * g(y)`` with ``g(y) = -y**3 / 2``."""
    dx[...] = dy * -(y**3) / 2


def rsqrt_second(dy, y, dx):
    """``dx = dy * g'(y)``."""
    dx[...] = dy * -3 * y**2 / 2


def rsqrt_third(dy, y, dx):
    """``dx = dy * g''(y)``."""
    dx[...] = dy * -3 * y
