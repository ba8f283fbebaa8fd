"""The sum of two values of one shape."""

import numpy as np


def add(x, other, y):
    """``y = x + other``; both get y's gradient as it is."""
    np.add(x, other, out=y)


def add_backward(dy, dx):
    """``dx = dy``, for each of both."""
    dx[...] = dy
