"""Elementary functions, as NumPy has them."""

import math

import numpy as np


def exp(x):
    """E to the power of x."""
    return np.exp(x)


def expm1(x):
    """``exp(x) - 1``, precise also near zero."""
    return np.expm1(x)


def reciprocal(x):
    """Return ``1 / x`` of a positive x."""
    return 1 / x


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


def normal_pdf(x):
    """Density of the normal distribution, in float64."""
    x = np.asarray(x, float)
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def normal_cdf(x):
    """Cumulative of the normal distribution, ``erfc(-x / sqrt(2)) / 2``, in float64."""
    return np.vectorize(math.erfc, otypes=[float])(-np.asarray(x, float) / math.sqrt(2)) / 2


def near_zero(x):
    """X, or 50 or -50 beyond these: GELU is flat there, and squares of x may overflow."""
    return np.clip(x, -50, 50)
