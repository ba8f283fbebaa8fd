"""Softmax along the last axis."""

from __future__ import annotations

from chainrule.kernels.elementary import exp
from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import subtract_largest
from chainrule.kernels.views import flat
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
def softmax(x, y):
    subtract_largest(x, y)
    vector = flat(y)
    for k in range(vector.size):
        vector[k] = exp(vector[k])
    for i in range(y.shape[0]):
        row = y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        for j in range(row.size):
            row[j] /= total


@kernel
def softmax_backward(dy, y, dx):
    for i in range(y.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        inner = y.dtype.type(0)
        for j in range(row.size):
            inner += d_row[j] * row[j]
        for j in range(row.size):
            out[j] = row[j] * (d_row[j] - inner)


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``y * (dx - sum(y * dx))``."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    weighted = plan.apply("multiply", dx, step.y)
    mean = plan.rescale(plan.apply("sum_last_axis", weighted), -1.0)
    return plan.apply("add", weighted, plan.apply("multiply", mean, step.y))


OPERATION = Operation(
    "softmax",
    function(softmax),
    {"x": function(softmax_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
)
