"""Columns of a value's last axis by their numbers, in any order."""

import numpy as np


def pick_columns(x, picked, y):
    """``y = x[:, picked]``."""
    y[...] = x[:, picked.astype(int)]


def pick_columns_backward(dy, picked, dx):
    """Add dy up in the picked that it was picked from; the others are 0."""
    dx[...] = 0
    np.add.at(dx.T, picked.astype(int), dy.T)
