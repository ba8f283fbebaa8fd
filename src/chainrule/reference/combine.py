"""Merges of paths of the network: values are added, multiplied or concatenated."""

import numpy as np


def add(x, other, y):
    """``y = x + other``; both get y's gradient as it is."""
    np.add(x, other, out=y)


def multiply_elements(x, other, y):
    """``y = x * other``; each gets y's gradient times the other one: again such a product."""
    np.multiply(x, other, out=y)


def copy(x, y):
    """``y = x``."""
    y[...] = x


def accumulate(x, y):
    """``y += x``: the chain rule's sum over the paths from a value to the loss."""
    y += x


def put_columns(x, column, y):
    """Make x the columns of y that begin at ``column``."""
    y[:, column : column + x.shape[1]] = x


def take_columns(y, column, x):
    """Make x what stands in the columns of y that begin at ``column``."""
    x[...] = y[:, column : column + x.shape[1]]


def add_up(parts, column, adds, out):
    """Write or add the sum of the rows of ``parts``, from ``column`` on."""
    total = parts[:, column : column + out.size].sum(axis=0)
    out[...] = out + total if adds else total
