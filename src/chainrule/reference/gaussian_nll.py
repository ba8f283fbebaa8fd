"""The normal distribution's negative log-likelihood; see :mod:`chainrule.reference.loss`.

A row of the output has the means, then the variances. These are at least ``eps``, and gradients
are those at what they are then.
"""

import numpy as np

from chainrule.reference.loss import row_scale


def _mean_and_variance(output, eps):
    mean, variance = np.split(output, 2, axis=1)
    return mean, np.maximum(variance, eps)


def gaussian_nll(output, target, weight, total, terms, d_output, full=False, eps=1e-6):
    """Terms ``(log(v) + e**2 / v) / 2``, with ``e = mean - target``; ``full`` adds a constant."""
    scale = row_scale(total, target.shape[1]) * weight[:, np.newaxis]
    mean, v = _mean_and_variance(output, eps)
    e = mean - target
    terms[...] = (np.log(v) + e**2 / v + (np.log(2 * np.pi) if full else 0)) / 2
    d_output[...] = scale * np.hstack([e / v, (1 - e**2 / v) / (2 * v)])


def gaussian_nll_curvature(output, target, weight, total, direction, d_gradient, eps):
    """``1 / v`` by the mean, ``(e**2 / v - 1 / 2) / v**2`` by v, ``-e / v**2`` by both."""
    scale = row_scale(total, target.shape[1]) * weight[:, np.newaxis]
    mean, v = _mean_and_variance(output, eps)
    e = mean - target
    of_mean, of_v = np.split(direction, 2, axis=1)
    by_mean = of_mean / v - e / v**2 * of_v
    by_v = (e**2 / v - 0.5) / v**2 * of_v - e / v**2 * of_mean
    d_gradient[...] = scale * np.hstack([by_mean, by_v])


def gaussian_nll_fisher(output, weight, total, direction, d_gradient, eps):
    """``1 / v`` by the mean and ``1 / (2 * v**2)`` by v."""
    scale = row_scale(total, output.shape[1] // 2) * weight[:, np.newaxis]
    _, v = _mean_and_variance(output, eps)
    d_gradient[...] = scale * np.hstack([1 / v, 1 / (2 * v**2)]) * direction
