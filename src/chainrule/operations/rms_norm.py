"""Root mean square normalization: each row to mean square 1."""

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
def rms_norm(x, eps, y, scale):
    zero, one, k = x.dtype.type(0), x.dtype.type(1), x.dtype.type(x.shape[1])
    eps = x.dtype.type(eps)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        squares = zero
        for j in range(row.size):
            squares += row[j] * row[j]
        factor = one / sqrt(squares / k + eps)
        scale[i, 0] = factor
        for j in range(row.size):
            out[j] = row[j] * factor


@kernel
def rms_norm_backward(dy, y, scale, dx):
    zero, k = dy.dtype.type(0), dy.dtype.type(dy.shape[1])
    for i in range(dy.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        of_y = zero
        for j in range(row.size):
            of_y += d_row[j] * row[j]
        of_y, factor = of_y / k, scale[i, 0]
        for j in range(row.size):
            out[j] = (d_row[j] - row[j] * of_y) * factor


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the mean squares of rows."""
    mean, eps = mean_of_rows(plan), step.number("eps")
    return tangent_of_normalization(plan, step, tangents, mean, eps=eps, centered=False)


OPERATION = Operation(
    "rms_norm",
    function(rms_norm),
    {"x": function(rms_norm_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"saved": {"scale": (1,)}},
)
