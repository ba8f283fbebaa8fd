"""Poisson's negative log-likelihood; see :mod:`chainrule.reference.loss`."""

import numpy as np

from chainrule.reference.loss import row_scale


def poisson_nll(
    output, target, weight, total, terms, d_output, log_input=True, full=False, eps=1e-8
):
    """Terms ``rate - t * log(rate)``; the output is ``log(rate)``, or the rate itself.

    ``full`` adds Stirling's formula of ``log(t!)`` where t is more than 1.
    """
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    if log_input:
        terms[...] = np.exp(output) - target * output
        d_output[...] = scale * (np.exp(output) - target)
    else:
        terms[...] = output - target * np.log(output + eps)
        d_output[...] = scale * (1 - target / (output + eps))
    if full:
        t = np.maximum(target, 1)
        stirling = t * np.log(t) - t + np.log(2 * np.pi * t) / 2
        terms += np.where(target > 1, stirling, 0)


def poisson_nll_curvature(output, target, weight, total, direction, d_gradient, log_input, eps):
    """``exp(output)``, or ``t / (output + eps)**2``, on the diagonal."""
    scale = row_scale(total, output.shape[1]) * weight[:, np.newaxis]
    curvature = np.exp(output) if log_input else target / (output + eps) ** 2
    d_gradient[...] = scale * curvature * direction
