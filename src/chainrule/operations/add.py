"""The sum of two values of one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.kernels.combine import add, copy
from chainrule.operations.operation import Operation, View, function

if TYPE_CHECKING:
    from chainrule.plan.builder import PlanBuilder, Step, Tensor
    from chainrule.plan.tangent import Tangents


def _tangent(plan: PlanBuilder, step: Step, tangents: Tangents) -> Tensor | None:
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
