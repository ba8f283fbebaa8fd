"""The logarithm of softmax along the last axis."""

from __future__ import annotations

from chainrule.kernels.activation import log_softmax, log_softmax_backward
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
