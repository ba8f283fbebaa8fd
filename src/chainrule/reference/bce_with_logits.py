"""Binary cross-entropy of logits; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.elementary import sigmoid, softplus
from chainrule.reference.loss import row_scale


def bce_with_logits(output, target, weight, total, terms, d_output):
    """Terms ``-t * log(p) - (1 - t) * log(1 - p)``, ``p = sigmoid(output)``; gradient p - t."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    terms[...] = softplus(output) - output * target
    d_output[...] = scale * (sigmoid(output) - target)


def bce_with_logits_curvature(output, target, weight, total, direction, d_gradient):
    """``p * (1 - p) * direction`` with ``p = sigmoid(output)``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * sigmoid(output) * sigmoid(-output) * direction
