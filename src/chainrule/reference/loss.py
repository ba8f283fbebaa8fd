"""Losses with their gradients, for some rows of a batch.

The batch's loss is the mean of the terms, each with its row's weight: the sum of ``weight * term``
over all rows and columns of ``terms``, times ``row_scale(total, columns)``. ``total`` is the weight
of all rows of the batch. Gradients are scaled likewise, row by row, by ``scale`` below.
"""

import numpy as np

from chainrule.reference.elementary import sigmoid, softplus
from chainrule.reference.rows import scale_rows, weighted_sum


def row_scale(total, columns):
    """Return one entry's weight in the mean, before its row's weight; 0 if all weights are 0."""
    return 1 / (total * columns) if total > 0 else 0.0


def mse(output, target, weight, total, terms, d_output):
    """Terms ``(output - target)**2``; gradient ``2 * (output - target)``, scaled."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - target
    terms[...] = error**2
    d_output[...] = scale * 2 * error


def huber(output, target, weight, total, terms, d_output, delta):
    """Terms ``e**2 / 2`` where ``|e| < delta``, else ``delta * (|e| - delta / 2)``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - target
    clipped = np.clip(error, -delta, delta)
    terms[...] = clipped * (error - clipped / 2)
    d_output[...] = scale * clipped


def bce_with_logits(output, target, weight, total, terms, d_output):
    """Terms ``-t * log(p) - (1 - t) * log(1 - p)``, ``p = sigmoid(output)``; gradient p - t."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    terms[...] = softplus(output) - output * target
    d_output[...] = scale * (sigmoid(output) - target)


def cross_entropy(output, label, weight, total, terms, d_output, smoothing):
    """One term a row, ``-sum(q * log(softmax(output)))``; gradient ``softmax(output) - q``.

    q is ``1 - smoothing`` for the row's label, plus ``smoothing / classes`` for every class.
    """
    rows, classes = output.shape
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    q = np.full(output.shape, smoothing / classes)
    q[np.arange(rows), label] += 1 - smoothing
    shifted = output - output.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    terms[...] = -(q * log_p).sum(axis=1, keepdims=True)
    d_output[...] = scale * (np.exp(log_p) - q)


def weigh_gradients(d_output, weight, total):
    """Turn the gradients of rows' own losses into that of their weighted mean."""
    scale_rows(d_output, weight, row_scale(total, 1))


def add_loss(terms, weight, total, loss_weight, loss):
    """Add the batch's loss to ``loss[0]``: the terms' weighted mean, times ``loss_weight``."""
    loss[0] += loss_weight * weighted_sum(terms, weight) * row_scale(total, terms.shape[1])
