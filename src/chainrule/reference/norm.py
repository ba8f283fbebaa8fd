"""The length of a vector."""

import numpy as np


def sum_of_squares(x):
    """Return ``sum(x**2)``, in float64."""
    return float(np.square(x, dtype=float).sum())
