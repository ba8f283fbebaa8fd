"""Cross-entropy with weights of classes; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def weigh_classes(label, weight, class_weight):
    """Multiply each row's weight by that of its class, in place."""
    weight *= class_weight[label]


def _target(label, class_weight, label_smoothing):
    """Return the target distribution, by the row's weight, which has its label's already."""
    q = np.zeros((label.size, class_weight.size))
    if label_smoothing > 0:
        q += label_smoothing / class_weight.size * class_weight / class_weight[label][:, np.newaxis]
    q[np.arange(label.size), label] += 1 - label_smoothing
    return q


def _softmax(output):
    exponentials = np.exp(output - output.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def weighted_cross_entropy(
    output, label, weight, total, terms, d_output, class_weight, label_smoothing
):
    """One term a row, ``-sum(q * log(p))``; gradient ``sum(q) * p - q``, p the softmax."""
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    q = _target(label, class_weight, label_smoothing)
    shifted = output - output.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    terms[...] = -(q * log_p).sum(axis=1, keepdims=True)
    d_output[...] = scale * (q.sum(axis=1, keepdims=True) * np.exp(log_p) - q)


def weighted_cross_entropy_curvature(
    output, label, weight, total, direction, d_gradient, class_weight, label_smoothing
):
    """``sum(q) * (diag(p) - p p^T)``."""
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    q = _target(label, class_weight, label_smoothing)
    p = _softmax(output)
    movement = direction - (p * direction).sum(axis=1, keepdims=True)
    d_gradient[...] = scale * q.sum(axis=1, keepdims=True) * p * movement


def weigh_expected_classes(output, weight, class_weight):
    """Multiply each row's weight by the mean of the classes' weights, p its probabilities."""
    weight *= _softmax(output) @ class_weight


def weighted_cross_entropy_fisher(output, weight, total, direction, d_gradient, class_weight):
    """``E[(p - e) (p - e)^T]``, e the label's unit vector, whose mean by class weights is q."""
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    p = _softmax(output)
    mass = (p * class_weight).sum(axis=1, keepdims=True)
    q = p * class_weight / np.where(mass > 0, mass, 1)
    mean = (p * direction).sum(axis=1, keepdims=True)
    weighted_mean = (q * direction).sum(axis=1, keepdims=True)
    d_gradient[...] = scale * (q * (direction - mean) + p * (mean - weighted_mean))
