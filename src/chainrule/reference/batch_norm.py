"""Batch normalization: each feature to mean 0 and variance 1 over the batch."""

import numpy as np


def batch_norm_moments(x, scratch, chunk_moments):
    """Write how many rows there are, and each feature's mean, squared deviations, and rounding."""
    rows = x.reshape(-1, x.shape[-1])
    mean = rows.mean(axis=0)
    shift = (rows - mean).mean(axis=0)  # 0, but for the rounding of the mean
    squares = ((rows - mean - shift) ** 2).sum(axis=0)
    chunk_moments[...] = np.stack([np.full_like(mean, len(rows)), mean, squares, shift])


def merge_moments(moments, mean, squares):
    """Return how many rows all chunks have; write their mean and sum of squared deviations."""
    rows, of_chunks, deviations = moments[:, 0, :1], moments[:, 1], moments[:, 2]
    away = of_chunks - of_chunks[0] + moments[:, 3]
    from_first = (rows * away).sum(axis=0) / rows.sum()
    mean[...] = of_chunks[0] + from_first
    squares[...] = (deviations + rows * (away - from_first) ** 2).sum(axis=0)
    return rows.sum()


def mean_and_scale(moments, eps, mean, scale):
    """Write the mean of all rows, and one by their deviation; return how many there are."""
    rows = merge_moments(moments, mean, scale)
    scale[...] = 1 / np.sqrt(scale / rows + eps)
    return rows


def scale_and_shift(weight, bias, scale, shift):
    """Multiply the scale by the weight, and write the bias as the shift; empty ones are none."""
    scale *= weight if weight.size else 1
    shift[...] = bias if bias.size else 0


def mean_products(products, rows, scale, of_dy, of_x):
    """Write the mean of dy, and of dy times the normalized x, which is ``scale`` times x."""
    of_dy[...], of_x[...] = products.sum(axis=0) / rows
    of_x *= scale


def _normalized(x, moments, eps):
    """Return x with mean 0 and variance 1, by what it was scaled, and how many rows there are."""
    mean, scale = np.empty_like(moments[0, :2])
    rows = mean_and_scale(moments, eps, mean, scale)
    return (x - mean) * scale, scale, rows


def batch_norm(x, moments, eps, weight, bias, floor, scratch, y):
    """``y = max((x - mean) / sqrt(variance + eps) * weight + bias, floor)``.

    An empty weight or bias is none.
    """
    y[...] = _normalized(x, moments, eps)[0]
    if weight.size:
        y *= weight
    if bias.size:
        y += bias
    np.maximum(y, floor, out=y)


def batch_norm_products(dy, x, moments, eps, scratch, chunk_products):
    """Write what the rows add to the sums of ``dy``, and of ``dy`` times the normalized x."""
    normalized, _, _ = _normalized(x, moments, eps)
    chunk_products[...] = np.stack([dy.sum(axis=0), (dy * normalized).sum(axis=0)])


def batch_norm_backward(dy, x, moments, products, eps, weight, scratch, dx):
    """``dx = (dy - mean(dy) - z * mean(dy * z)) * weight / sqrt(variance + eps)``, z normalized."""
    normalized, scale, rows = _normalized(x, moments, eps)
    of_dy, of_x = products.sum(axis=0) / rows
    dx[...] = (dy - of_dy - normalized * of_x) * scale
    if weight.size:
        dx *= weight


def batch_norm_backward_weight(products, adds, d_weight):
    """Write the sum of ``dy`` times the normalized x, or add it."""
    d_weight[...] = adds * d_weight + products[:, 1].sum(axis=0)


def batch_norm_backward_bias(products, adds, d_bias):
    """Write the sum of ``dy``, or add it."""
    d_bias[...] = adds * d_bias + products[:, 0].sum(axis=0)


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
