"""The negative logarithm of a normal density, of which the output has mean and variance."""

import math
from collections.abc import Mapping
from typing import Any

from chainrule.kernels.elementary import log
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@kernel
def gaussian_nll(output, target, weight, total, terms, d_output, full, eps):
    k, eps = target.shape[1], output.dtype.type(eps)
    constant = output.dtype.type(HALF_LOG_TWO_PI if full else 0.0)
    one, half = output.dtype.type(1), output.dtype.type(0.5)
    for i in range(output.shape[0]):
        mean, variance, aim, loss = output[i, :k], output[i, k:], target[i], terms[i]
        d_mean, d_variance = d_output[i, :k], d_output[i, k:]
        for j in range(k):
            v = eps if variance[j] < eps else variance[j]
            error, r = mean[j] - aim[j], one / v
            loss[j] = half * (log(v) + error * error * r) + constant
            d_mean[j] = error * r
            d_variance[j] = half * r * (one - error * error * r)
    scale_rows(d_output, weight, row_scale(total, k))


@kernel
def gaussian_nll_curvature(output, target, weight, total, direction, d_gradient, eps):
    k, eps = target.shape[1], output.dtype.type(eps)
    one, half = output.dtype.type(1), output.dtype.type(0.5)
    for i in range(output.shape[0]):
        mean, variance, aim = output[i, :k], output[i, k:], target[i]
        of_mean, of_variance = direction[i, :k], direction[i, k:]
        d_mean, d_variance = d_gradient[i, :k], d_gradient[i, k:]
        for j in range(k):
            v = eps if variance[j] < eps else variance[j]
            error, r = mean[j] - aim[j], one / v
            cross = -error * r * r
            d_mean[j] = r * of_mean[j] + cross * of_variance[j]
            bend = r * r * (error * error * r - half)
            d_variance[j] = cross * of_mean[j] + bend * of_variance[j]
    scale_rows(d_gradient, weight, row_scale(total, k))


@kernel
def gaussian_nll_fisher(output, weight, total, direction, d_gradient, eps):
    k, eps = output.shape[1] // 2, output.dtype.type(eps)
    one, half = output.dtype.type(1), output.dtype.type(0.5)
    for i in range(output.shape[0]):
        movement, change, variance = direction[i], d_gradient[i], output[i, k:]
        for j in range(k):
            v = eps if variance[j] < eps else variance[j]
            r = one / v
            change[j] = r * movement[j]
            change[k + j] = half * r * r * movement[k + j]
    scale_rows(d_gradient, weight, row_scale(total, k))


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return what the curvature is on average: mean and variance do not know of each other."""
    return function(gaussian_nll_fisher), 1.0


OPERATION = LossOperation(
    "gaussian_nll",
    function(gaussian_nll),
    function(gaussian_nll_curvature),
    _fisher,
    terms="target",
    sample={"full": False},
)
