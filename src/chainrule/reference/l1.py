"""The mean absolute error; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def l1(output, target, weight, total, terms, d_output):
    """Terms ``|output - target|``; gradient the sign of the error, scaled."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - target
    terms[...] = abs(error)
    d_output[...] = scale * np.sign(error)


def l1_curvature(direction, d_gradient):
    """``0``: the gradient only jumps."""
    d_gradient[...] = 0 * direction
