"""What softmax and losses do row by row."""

import numpy as np


def subtract_largest(x, y):
    """``y = x - max(x)`` along each row."""
    y[...] = x - x.max(axis=1, keepdims=True)


def entries_of_one_weight(weight, columns):
    """Return how many elements in a row have the same weight: one row's, or all of them.

    Rows are often short, and a loop over one is over before it has paid for its start.
    """
    same = (weight == weight[:1]).all()
    return max(1, weight.size * columns if same else columns)


def weighted_sum(x, weight):
    """Return the sum of all elements, each times its row's weight, in float64."""
    return weight.astype(float) @ x.sum(axis=1, dtype=float)


def scale_rows(x, weight, scale):
    """Multiply each row by its weight and by ``scale``, in place."""
    x *= scale * weight[:, np.newaxis]
