"""Columns of a value's last axis by their numbers, in any order."""

import numpy as np


def select_columns(x, selected, y):
    """``y = x[:, selected]``."""
    y[...] = x[:, selected.astype(int)]


def select_columns_backward(dy, selected, dx):
    """Add each column of dy to the column of dx it was selected from; the others are 0."""
    dx[...] = 0
    np.add.at(dx.T, selected.astype(int), dy.T)
