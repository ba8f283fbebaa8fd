"""Batch normalization: each feature to mean 0 and variance 1 over the batch."""

import numpy as np


def batch_norm_moments(x, chunk_moments):
    """Write how many rows there are, each feature's mean, and its sum of squared deviations."""
    mean = x.mean(axis=0)
    chunk_moments[...] = np.stack([np.full_like(mean, len(x)), mean, ((x - mean) ** 2).sum(axis=0)])


def merge_moments(moments, mean, squares):
    """Return how many rows all chunks have; write their mean and sum of squared deviations."""
    rows, of_chunks, deviations = moments[:, 0, :1], moments[:, 1], moments[:, 2]
    mean[...] = (rows * of_chunks).sum(axis=0) / rows.sum()
    squares[...] = (deviations + rows * (of_chunks - mean) ** 2).sum(axis=0)
    return rows.sum()


def _mean_and_scale(moments, eps):
    mean, squares = np.empty_like(moments[0, :2])
    rows = merge_moments(moments, mean, squares)
    return mean, 1 / np.sqrt(squares / rows + eps), rows


def batch_norm(x, moments, eps, scratch, y):
    """``y = (x - mean) / sqrt(variance + eps)``."""
    mean, scale, _ = _mean_and_scale(moments, eps)
    y[...] = (x - mean) * scale


def batch_norm_products(dy, y, chunk_products):
    """Write what the rows add to the sums of ``dy`` and of ``dy * y``."""
    chunk_products[...] = np.stack([dy.sum(axis=0), (dy * y).sum(axis=0)])


def batch_norm_backward(dy, y, moments, products, eps, scratch, dx):
    """``dx = (dy - mean(dy) - y * mean(dy * y)) / sqrt(variance + eps)``."""
    _, scale, rows = _mean_and_scale(moments, eps)
    of_dy, of_y = products.sum(axis=0) / rows
    dx[...] = (dy - of_dy - y * of_y) * scale


def batch_norm_update(moments, momentum, scratch, running_mean, running_var, num_batches_tracked):
    """Move the running statistics towards the batch's; its variance is the unbiased one.

    With a momentum below 0, they are the averages over all batches.
    """
    mean, squares = np.empty_like(moments[0, :2])
    rows = merge_moments(moments, mean, squares)
    num_batches_tracked += 1
    part = momentum if momentum >= 0 else 1 / num_batches_tracked
    running_mean += (mean - running_mean) * part
    running_var += (squares / (rows - 1) - running_var) * part
