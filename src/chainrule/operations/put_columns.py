"""A value as some columns of a wider one; several steps fill all of it."""

from __future__ import annotations

from chainrule.kernels.combine import put_columns, take_columns
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    function,
)


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Fill the same columns of y's tangent, with zeros if x does not change."""
    dx = tangents.of(step.x)
    dx = plan.rescale(step.x, 0.0) if dx is None else dx
    return plan.again(step, dx, y=tangents.of(step.y))


OPERATION = Operation(
    "put_columns",
    function(put_columns),
    {"x": function(take_columns, "dy", "column", "dx")},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"column": 0},
)
