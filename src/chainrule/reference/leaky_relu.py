"""Leaky ReLU: x, or ``negative_slope * x`` where x is negative."""

import numpy as np


def leaky_relu(x, y, negative_slope=0.01):
    """``y = x`` where x is positive, else ``negative_slope * x``."""
    y[...] = np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy, y, dx, negative_slope=0.01):
    """``dx = dy`` where the output is positive, else ``negative_slope * dy``."""
    dx[...] = np.where(y > 0, dy, negative_slope * dy)
