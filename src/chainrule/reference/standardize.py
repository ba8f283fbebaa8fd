"""Each column less a mean, by a standard deviation, both known."""

import numpy as np


def standardize(x, mean, variance, eps, center, scratch, y):
    """``y = (x - mean) / sqrt(variance + eps)``; without the mean where ``center`` is 0."""
    y[...] = (x - center * mean) / np.sqrt(variance + eps)


def standardize_by_column(mean, variance, eps, center, scale, shift):
    """Compose it with ``x * scale + shift``."""
    factor = 1 / np.sqrt(variance + eps)
    scale *= factor
    shift[...] = (shift - center * mean) * factor


def standardize_backward(dy, variance, eps, scratch, dx):
    """``dx = dy / sqrt(variance + eps)``."""
    dx[...] = dy / np.sqrt(variance + eps)
