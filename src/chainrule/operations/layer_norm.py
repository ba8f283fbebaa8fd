"""Layer normalization: each row to mean 0 and variance 1."""

from __future__ import annotations

from math import sqrt

from chainrule.kernels.jit import kernel
from chainrule.operations.normalization import mean_of_rows, tangent_of_normalization
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    function,
)


@kernel
def layer_norm(x, eps, y, scale):
    zero, one, k = x.dtype.type(0), x.dtype.type(1), x.dtype.type(x.shape[1])
    eps = x.dtype.type(eps)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        mean = squares = zero
        for j in range(row.size):
            mean += row[j]
        mean /= k
        for j in range(row.size):
            deviation = row[j] - mean
            squares += deviation * deviation
        factor = one / sqrt(squares / k + eps)
        scale[i, 0] = factor
        for j in range(row.size):
            out[j] = (row[j] - mean) * factor


@kernel
def layer_norm_backward(dy, y, scale, dx):
    zero, k = dy.dtype.type(0), dy.dtype.type(dy.shape[1])
    for i in range(dy.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        mean = of_y = zero
        for j in range(row.size):
            mean += d_row[j]
            of_y += d_row[j] * row[j]
        mean, of_y, factor = mean / k, of_y / k, scale[i, 0]
        for j in range(row.size):
            out[j] = (d_row[j] - mean - row[j] * of_y) * factor


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the means of rows."""
    mean, eps = mean_of_rows(plan), step.number("eps")
    return tangent_of_normalization(plan, step, tangents, mean, eps=eps)


OPERATION = Operation(
    "layer_norm",
    function(layer_norm),
    {"x": function(layer_norm_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"saved": {"scale": (1,)}},
)
