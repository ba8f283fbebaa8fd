"""Gradients of single samples: one row each, where a batch's gradient is their sum."""

import numpy as np


def outer(x, dy, adds, dw):
    """``dw = x dy^T``: of a single sample, a weight's gradient is an outer product."""
    dw[...] = dw + np.outer(x, dy) if adds else np.outer(x, dy)


def row_squares(x, squares):
    """Write the sum of each row's squares, in float64."""
    squares[...] = np.square(x, dtype=float).sum(axis=1)
