"""A value as some columns of a wider one; several steps fill all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.kernels.combine import put_columns, take_columns
from chainrule.operations.operation import Operation, View, function

if TYPE_CHECKING:
    from chainrule.plan.builder import PlanBuilder, Step, Tensor
    from chainrule.plan.tangent import Tangents


def _tangent(plan: PlanBuilder, step: Step, tangents: Tangents) -> Tensor | None:
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
)
