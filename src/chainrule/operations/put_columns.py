"""A value as some columns of a wider one; several steps fill all of it."""

from __future__ import annotations

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    function,
)
from chainrule.operations.slice_columns import slice_columns


@kernel
def put_columns(x, column, y):
    rows, columns = x.shape
    for i in range(rows):
        row, place = x[i], y[i, column : column + columns]
        for j in range(columns):
            place[j] = row[j]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Fill the same columns of y's tangent, with zeros if x does not change."""
    dx = tangents.of(step.x)
    dx = plan.rescale(step.x, 0.0) if dx is None else dx
    return plan.again(step, dx, y=tangents.of(step.y))


OPERATION = Operation(
    "put_columns",
    function(put_columns),
    {"x": function(slice_columns, "dy", "column", "dx")},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"column": 0},
)
