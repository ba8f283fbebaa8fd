"""Binary cross-entropy with weights of positive targets; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.elementary import sigmoid, softplus
from chainrule.reference.loss import row_scale


def weighted_bce_with_logits(output, target, weight, total, terms, d_output, pos_weight):
    """Terms ``-w * t * log(p) - (1 - t) * log(1 - p)``, ``p = sigmoid(output)``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    positive, negative = pos_weight * target, 1 - target
    terms[...] = positive * softplus(-output) + negative * softplus(output)
    d_output[...] = scale * (negative * sigmoid(output) - positive * sigmoid(-output))


def weighted_bce_with_logits_curvature(
    output, target, weight, total, direction, d_gradient, pos_weight
):
    """``(w * t + 1 - t) * p * (1 - p)`` on the diagonal."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    slope = sigmoid(output) * sigmoid(-output)
    d_gradient[...] = scale * (pos_weight * target + 1 - target) * slope * direction


def weighted_bce_with_logits_fisher(output, weight, total, direction, d_gradient, pos_weight):
    """``p * w * (1 - p)**2 + (1 - p) * p**2`` on the diagonal."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    p, p_not = sigmoid(output), sigmoid(-output)
    d_gradient[...] = scale * (p * pos_weight * p_not**2 + p_not * p**2) * direction
