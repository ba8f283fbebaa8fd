"""Batch normalization and max-pooling in one, by the twins of both."""

import numpy as np

from chainrule.reference.batch_norm import batch_norm, batch_norm_backward, batch_norm_products
from chainrule.reference.max_pool import max_pool, max_pool_backward


def batch_norm_max_pool(x, moments, eps, weight, bias, window, floor, scratch, y):
    """Write each window's largest normalized number, or the floor if that is larger."""
    max_pool(_normalized(x, moments, eps, weight, bias), window, floor, y)


def batch_norm_max_pool_products(
    dy, x, moments, eps, weight, bias, window, floor, scratch, chunk_products
):
    """Write what the rows add to the sums of the gradient, and of it times the normalized x."""
    z = _normalized(x, moments, eps, weight, bias)
    rows = _rows(_given(dy, z, window, floor)), _rows(x)
    batch_norm_products(*rows, moments, eps, scratch, chunk_products)


def batch_norm_max_pool_backward(
    dy, x, moments, products, eps, weight, bias, window, floor, scratch, dx
):
    """Write the gradient by x: that of the pooling, through the normalization."""
    z = _normalized(x, moments, eps, weight, bias)
    rows = _rows(_given(dy, z, window, floor)), _rows(x)
    batch_norm_backward(*rows, moments, products, eps, weight, scratch, _rows(dx))


def _rows(images):
    return images.reshape(-1, images.shape[-1])


def _normalized(x, moments, eps, weight, bias):
    z = np.empty_like(x)
    batch_norm(_rows(x), moments, eps, weight, bias, -np.inf, None, _rows(z))
    return z


def _given(dy, z, window, floor):
    """Return the gradient by what is pooled."""
    d_z = np.empty_like(z)
    max_pool_backward(dy, z, window, floor, 0, d_z)
    return d_z
