"""Leaky ReLU: x, or ``slope * x`` where x is negative."""

import numpy as np


def leaky_relu(x, y, slope):
    """``y = x`` where x is positive, else ``slope * x``."""
    y[...] = np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy, y, dx, slope):
    """``dx = dy`` where the output is positive, else ``slope * dy``."""
    dx[...] = np.where(y > 0, dy, slope * dy)
