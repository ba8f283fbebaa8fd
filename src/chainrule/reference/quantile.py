"""The quantile loss; see :mod:`chainrule.reference.loss`.

A row of the output has all quantiles of its first target, then those of the next one.
"""

import numpy as np

from chainrule.reference.loss import row_scale


def quantile(output, target, weight, total, terms, d_output, quantiles=(0.1, 0.5, 0.9)):
    """Terms ``(1 - q) * e`` where ``e = output - target`` is positive, else ``-q * e``."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    error = output - np.repeat(target, quantiles.size, axis=1)
    q = np.tile(quantiles, target.shape[1])
    slope = np.where(error > 0, 1 - q, -q)
    terms[...] = slope * error
    d_output[...] = scale * np.where(abs(error) > 0, slope, error)


def quantile_fisher(weight, total, direction, d_gradient, quantiles):
    """``q * (1 - q)``: the slope's mean square, as the target is above with probability q."""
    scale = row_scale(total, direction.shape[1]) * weight[:, np.newaxis]
    q = np.tile(quantiles, direction.shape[1] // quantiles.size)
    d_gradient[...] = scale * q * (1 - q) * direction
