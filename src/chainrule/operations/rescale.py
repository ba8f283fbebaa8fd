"""A line through every element: ``y = scale * x + offset``."""

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
def rescale(x, y, scale, offset):
    scale, offset = x.dtype.type(scale), x.dtype.type(offset)
    for i in range(x.size):
        y[i] = x[i] * scale + offset


@kernel
def rescale_backward(dy, dx, scale):
    scale = dy.dtype.type(scale)
    for i in range(dy.size):
        dx[i] = dy[i] * scale


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``scale * dx``."""
    dx = tangents.of(step.x)
    return None if dx is None else plan.rescale(dx, step.number("scale"))


OPERATION = Operation(
    "rescale",
    function(rescale),
    {"x": function(rescale_backward)},
    view=View.FLAT,
    tangent=_tangent,
)
