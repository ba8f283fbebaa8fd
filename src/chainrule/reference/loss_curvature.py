"""Second derivatives of losses: how their gradient changes while the output moves.

``direction`` is how the output moves; arguments are else those of the losses. Some rows' part of a
weighted mean, as there: each writes its Hessian times the direction into ``d_gradient``.
"""

import numpy as np

from chainrule.reference.elementary import sigmoid
from chainrule.reference.loss import row_scale


def mse_curvature(output, target, weight, total, direction, d_gradient):
    """``2 * direction``, scaled as the gradient is: the Hessian of a square is 2."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * 2 * direction


def huber_curvature(output, target, weight, total, direction, d_gradient, delta):
    """``direction`` where ``|output - target| < delta``, else 0."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * np.where(abs(output - target) < delta, direction, 0)


def bce_with_logits_curvature(output, target, weight, total, direction, d_gradient):
    """``p * (1 - p) * direction`` with ``p = sigmoid(output)``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * sigmoid(output) * sigmoid(-output) * direction


def cross_entropy_curvature(output, weight, total, direction, d_gradient):
    """``(diag(p) - p p^T) direction`` with ``p = softmax(output)``, whatever the label."""
    scale = row_scale(total, 1) * weight[:, np.newaxis]
    exponentials = np.exp(output - output.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    d_gradient[...] = scale * p * (direction - (p * direction).sum(axis=1, keepdims=True))
