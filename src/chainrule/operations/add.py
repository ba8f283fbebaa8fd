"""The sum of two values of one shape."""

from __future__ import annotations

from chainrule.kernels.combine import add, copy
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
    """Return the sum of both tangents."""
    return plan.sum_of(*map(tangents.of, step.operands))


OPERATION = Operation(
    "add",
    function(add),
    {"x": function(copy, "dy", "dx"), "other": function(copy, "dy", "d_other")},
    operands=("x", "other"),
    view=View.FLAT,
    tangent=_tangent,
)
