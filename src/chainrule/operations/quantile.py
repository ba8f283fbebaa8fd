"""The quantile loss, also called pinball loss: errors cost more on one side."""

from collections.abc import Mapping
from typing import Any

from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.operations import l1
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


@kernel
def quantile(output, target, weight, total, terms, d_output, quantiles):
    zero, one = output.dtype.type(0), output.dtype.type(1)
    for i in range(output.shape[0]):
        out, loss, gradient = output[i], terms[i], d_output[i]
        for j in range(target.shape[1]):
            aim, first = target[i, j], j * quantiles.size
            for q in range(quantiles.size):
                error = out[first + q] - aim
                slope = one - quantiles[q] if error > zero else -quantiles[q]
                loss[first + q] = slope * error
                gradient[first + q] = slope if abs(error) > zero else error
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def quantile_fisher(weight, total, direction, d_gradient, quantiles):
    one = direction.dtype.type(1)
    for i in range(direction.shape[0]):
        movement, change = direction[i], d_gradient[i]
        for j in range(0, change.size, quantiles.size):
            for q in range(quantiles.size):
                change[j + q] = quantiles[q] * (one - quantiles[q]) * movement[j + q]
    scale_rows(d_gradient, weight, row_scale(total, direction.shape[1]))


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return that of the asymmetric Laplace distribution."""
    return function(quantile_fisher), 1.0


OPERATION = LossOperation(
    "quantile",
    function(quantile),
    l1.OPERATION.curvature,
    _fisher,
    sample={"quantiles": (0.5,)},
)
