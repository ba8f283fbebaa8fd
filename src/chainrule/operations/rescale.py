"""A line through every element: ``y = scale * x + offset``."""

from __future__ import annotations

from chainrule.kernels.rescale import rescale, rescale_backward
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
