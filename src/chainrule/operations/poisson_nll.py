"""The negative logarithm of Poisson's probability of counts, of their rate or its logarithm."""

from collections.abc import Mapping
from math import pi
from typing import Any

from chainrule.kernels.elementary import exp, log
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


@kernel
def poisson_nll(output, target, weight, total, terms, d_output, log_input, full, eps):
    one, half, eps = output.dtype.type(1), output.dtype.type(0.5), output.dtype.type(eps)
    two_pi = output.dtype.type(2.0 * pi)
    out, t, loss, gradient = flat(output), flat(target), flat(terms), flat(d_output)
    if log_input:
        for k in range(out.size):
            rate = exp(out[k])
            loss[k] = rate - t[k] * out[k]
            gradient[k] = rate - t[k]
    else:
        for k in range(out.size):
            loss[k] = out[k] - t[k] * log(out[k] + eps)
            gradient[k] = one - t[k] / (out[k] + eps)
    if full:
        for k in range(out.size):
            stirling = t[k] * log(t[k]) - t[k] + half * log(two_pi * t[k])
            loss[k] = loss[k] + stirling if t[k] > one else loss[k]
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def poisson_nll_curvature(output, target, weight, total, direction, d_gradient, log_input, eps):
    eps = output.dtype.type(eps)
    out, t, movement, change = flat(output), flat(target), flat(direction), flat(d_gradient)
    if log_input:
        for k in range(out.size):
            change[k] = exp(out[k]) * movement[k]
    else:
        for k in range(out.size):
            r = out[k] + eps
            change[k] = t[k] / (r * r) * movement[k]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return the curvature, with the rate in the place of the target: so large it is on average."""
    names = function(poisson_nll_curvature).names
    if not numbers["log_input"]:
        names = tuple("output" if name == "target" else name for name in names)
    return function(poisson_nll_curvature, *names), 1.0


OPERATION = LossOperation(
    "poisson_nll",
    function(poisson_nll),
    function(poisson_nll_curvature),
    _fisher,
    sample={"log_input": True, "full": False},
)
