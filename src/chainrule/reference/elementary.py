"""Elementary functions, as NumPy has them."""

import math

import numpy as np


def exp(x):
    """E to the power of x."""
    return np.exp(x)


def expm1(x):
    """``exp(x) - 1``, precise also near zero."""
    return np.expm1(x)


def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


def sigmoid(x):
    """``1 / (1 + exp(-x))``, with the exponential taken of what cannot overflow."""
    small = np.exp(-abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def softplus(x):
    """``log(1 + exp(x))``, with the exponential taken of what cannot overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


def log(x):
    """Natural logarithm."""
    return np.log(x)


def erf(x):
    """Error function, in float64."""
    return np.vectorize(math.erf, otypes=[float])(x)
