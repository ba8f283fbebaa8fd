"""Huber's loss: squared near 0, linear beyond ``delta``; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def huber(output, target, weight, total, terms, d_output, delta=1.0):
    """Terms ``e**2 / 2`` where ``|e| < delta``, else ``delta * (|e| - delta / 2)``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - target
    clipped = np.clip(error, -delta, delta)
    terms[...] = clipped * (error - clipped / 2)
    d_output[...] = scale * clipped


def huber_curvature(output, target, weight, total, direction, d_gradient, delta):
    """``direction`` where ``|output - target| < delta``, else 0."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * np.where(abs(output - target) < delta, direction, 0)
