"""Cross-entropy of logits and class labels; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def cross_entropy(output, label, weight, total, terms, d_output, label_smoothing=0.0):
    """One term a row, ``-sum(q * log(softmax(output)))``; gradient ``softmax(output) - q``.

    q is ``1 - label_smoothing`` for the row's label, plus ``label_smoothing / classes`` for every
    class.
    """
    rows, classes = output.shape
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    q = np.full(output.shape, label_smoothing / classes)
    q[np.arange(rows), label] += 1 - label_smoothing
    shifted = output - output.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    terms[...] = -(q * log_p).sum(axis=1, keepdims=True)
    d_output[...] = scale * (np.exp(log_p) - q)


def cross_entropy_curvature(output, weight, total, direction, d_gradient):
    """``(diag(p) - p p^T) direction`` with ``p = softmax(output)``, whatever the label."""
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    exponentials = np.exp(output - output.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    d_gradient[...] = scale * p * (direction - (p * direction).sum(axis=1, keepdims=True))
