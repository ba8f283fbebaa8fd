"""The product of two values of one shape, elementwise."""

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
def multiply(x, other, y):
    for i in range(x.size):
        y[i] = x[i] * other[i]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``dx * other + d_other * x``."""
    x, other = step.operands
    dx, d_other = tangents.of(x), tangents.of(other)
    return plan.sum_of(
        None if dx is None else plan.apply("multiply", dx, other),
        None if d_other is None else plan.apply("multiply", d_other, x),
    )


OPERATION = Operation(
    "multiply",
    function(multiply),
    {
        "x": function(multiply, "dy", "other", "dx"),
        "other": function(multiply, "dy", "x", "d_other"),
    },
    operands=("x", "other"),
    view=View.FLAT,
    tangent=_tangent,
)
