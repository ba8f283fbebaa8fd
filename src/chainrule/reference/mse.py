"""The mean squared error; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def mse(output, target, weight, total, terms, d_output):
    """Terms ``(output - target)**2``; gradient ``2 * (output - target)``, scaled."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - target
    terms[...] = error**2
    d_output[...] = scale * 2 * error


def mse_curvature(output, target, weight, total, direction, d_gradient):
    """``2 * direction``, scaled as the gradient is: the Hessian of a square is 2."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    d_gradient[...] = scale * 2 * direction
