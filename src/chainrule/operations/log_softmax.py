"""The logarithm of softmax along the last axis."""

from __future__ import annotations

from chainrule.kernels.elementary import exp, log
from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import subtract_largest
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
def log_softmax(x, y):
    subtract_largest(x, y)
    for i in range(y.shape[0]):
        row = y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += exp(row[j])
        log_total = log(total)
        for j in range(row.size):
            row[j] -= log_total


@kernel
def log_softmax_backward(dy, y, dx):
    for i in range(y.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        total = y.dtype.type(0)
        for j in range(row.size):
            total += d_row[j]
        for j in range(row.size):
            out[j] = d_row[j] - exp(row[j]) * total


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``dx - sum(softmax(x) * dx)``."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    weighted = plan.apply("multiply", dx, plan.apply("softmax", step.x))
    return plan.apply("add", dx, plan.rescale(plan.apply("sum_last_axis", weighted), -1.0))


OPERATION = Operation(
    "log_softmax",
    function(log_softmax),
    {"x": function(log_softmax_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
)
