"""Elementary functions, as NumPy has them."""

import numpy as np


def exp(x):
    return np.exp(x)


def expm1(x):
    return np.expm1(x)


def tanh(x):
    return np.tanh(x)


def sigmoid(x):
    """``1 / (1 + exp(-x))``, with the exponential taken of what cannot overflow."""
    small = np.exp(-abs(x))
    return np.where(x < 0, small, 1) / (1 + small)
