"""Norms of single samples' gradients, where a batch's gradient is their sum."""

import numpy as np


def square_norms_of_products(x, dy, has_bias, squares):
    """Add the squared norms of the products of each row of x and of dy, and of dy for a bias.

    The norm of an outer product is that of one factor times that of the other.
    """
    of_x, of_dy = (np.square(rows, dtype=float).sum(axis=1) for rows in (x, dy))
    squares += of_dy * (of_x + has_bias)
