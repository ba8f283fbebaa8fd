"""The hyperbolic tangent."""

import numpy as np


def tanh(x, y):
    """``y = tanh(x)``."""
    np.tanh(x, out=y)


def tanh_backward(dy, y, dx):
    """``dx = dy * (1 - tanh(x)**2)``."""
    dx[...] = dy * (1 - y * y)


def tanh_second(dy, y, dx):
    """``g(y) = 1 - y**2``, so that ``dx = dy * -2 * y``."""
    dx[...] = dy * (-2 * y)


def tanh_third(dy, y, dx):
    """``g''(y) = -2``."""
    dx[...] = dy * -2
