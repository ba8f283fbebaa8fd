"""Embedding: each code picks a row of a table."""

import numpy as np


def embedding(x, weight, y):
    """``y = weight[x]``; a code that is none picks the nearest row."""
    y[...] = weight[np.clip(x.astype(int), 0, len(weight) - 1).reshape(-1)]


def embedding_backward(dx):
    """Write the derivative by the codes: 0."""
    dx[...] = 0


def embedding_backward_weight(dy, x, padding, adds, cleared, begin, d_weight):
    """For each row of the table from ``begin`` on, the sum of the ``dy`` of those that took it.

    The row ``padding`` has no gradient.
    """
    codes = x.astype(int).reshape(-1)
    own = (codes >= begin) & (codes < begin + len(d_weight)) & (codes != padding)
    if not (adds or cleared):
        d_weight[...] = 0
    np.add.at(d_weight, codes[own] - begin, dy[own])
