"""GLU: half of the last axis, times the sigmoid of the other half."""

from __future__ import annotations

from chainrule.kernels.elementary import sigmoid
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import derivative_of
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    find,
    function,
)


@kernel
def glu(x, y):
    half = y.shape[1]
    for i in range(x.shape[0]):
        value, gate, out = x[i, :half], x[i, half:], y[i]
        for j in range(half):
            out[j] = value[j] * sigmoid(gate[j])


@kernel
def glu_backward(dy, x, dx):
    half, one = dy.shape[1], x.dtype.type(1)
    for i in range(x.shape[0]):
        value, gate, d_y = x[i, :half], x[i, half:], dy[i]
        d_value, d_gate = dx[i, :half], dx[i, half:]
        for j in range(half):
            d_value[j] = d_y[j] * sigmoid(gate[j])
        for j in range(half):
            small = sigmoid(-abs(gate[j]))
            d_gate[j] = d_y[j] * value[j] * small * (one - small)


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``d_value * sigmoid(gate) + value * sigmoid'(gate) * d_gate``."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    value, gate = _halves(plan, step, step.x)
    d_value, d_gate = _halves(plan, step, dx)
    s = plan.apply("sigmoid", gate)
    d_s = plan.apply(derivative_of(find("sigmoid"), 1), d_gate, s)
    return plan.sum_of(plan.apply("multiply", d_value, s), plan.apply("multiply", value, d_s))


def _halves(plan: StepBuilder, step: Step, x: Tensor) -> list[Tensor]:
    """Append what takes both halves of the last axis."""
    columns = 0, step.y.shape[-1]
    return [
        plan.apply("slice_columns", x, shape=step.y.shape, numbers={"column": column})
        for column in columns
    ]


OPERATION = Operation(
    "glu",
    function(glu),
    {"x": function(glu_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
)
