"""PReLU: ``x * positive`` where the other operand is positive, else ``x * weight``.

In a forward pass, both operands are the layer's input, and ``positive`` is 1. Tangents are more of
these products: where x changes, its tangent takes its place; where the weight changes, its
direction does, and ``positive`` is 0. By the other operand, the derivative is 0.
"""

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
def prelu(x, other, weight, positive, y):
    zero, positive = x.dtype.type(0), x.dtype.type(positive)
    for i in range(x.shape[0]):
        row, side, out = x[i], other[i], y[i]
        if weight.size == 1:
            shared = weight[0]
            for j in range(row.size):
                out[j] = row[j] * (positive if side[j] > zero else shared)
        else:
            for j in range(row.size):
                out[j] = row[j] * (positive if side[j] > zero else weight[j])


@kernel
def prelu_backward(dy, x, other, weight, positive, dx, d_weight):
    zero = x.dtype.type(0)
    prelu(dy, other, weight, positive, dx)
    for j in range(d_weight.size):
        d_weight[j] = zero
    for i in range(x.shape[0]):
        row, side, d_row = x[i], other[i], dy[i]
        if weight.size == 1:
            total = zero
            for j in range(row.size):
                total += zero if side[j] > zero else d_row[j] * row[j]
            d_weight[0] += total
        else:
            for j in range(row.size):
                d_weight[j] += zero if side[j] > zero else d_row[j] * row[j]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the products with dx in the place of x, and with the weight's direction."""
    x, other = step.operands
    dx, by_x, by_weight = tangents.of(x), None, None
    if dx is not None:
        by_x = plan.again(step, dx, other)
    if tangents.parameters_change and not step.along_direction:
        direction = {"weight": step.parameters["weight"].along_direction()}
        by_weight = plan.apply("prelu", x, other, parameters=direction, numbers={"positive": 0.0})
    return plan.sum_of(by_x, by_weight)


OPERATION = Operation(
    "prelu",
    function(prelu),
    {"x": function(prelu_backward)},
    operands=("x", "other"),
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"weight": (1,)},
)
