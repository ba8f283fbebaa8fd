"""Softmax along the last axis."""

from __future__ import annotations

from chainrule.kernels.activation import softmax, softmax_backward
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
