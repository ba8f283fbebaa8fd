"""The sum of two values of one shape."""

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


@kernel
def add(x, other, y):
    for i in range(x.size):
        y[i] = x[i] + other[i]


@kernel
def add_backward(dy, dx):
    for i in range(dy.size):
        dx[i] = dy[i]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the sum of both tangents."""
    return plan.sum_of(*map(tangents.of, step.operands))


OPERATION = Operation(
    "add",
    function(add),
    {"x": function(add_backward), "other": function(add_backward, "dy", "d_other")},
    operands=("x", "other"),
    view=View.FLAT,
    tangent=_tangent,
)
