"""How fast max-pooling changes: the direction where each window's largest number is."""

from __future__ import annotations

from math import inf

from chainrule.kernels.jit import kernel
from chainrule.kernels.pooling import axes, inside, take_largest
from chainrule.operations.max_pool import SAMPLE, max_pool_backward
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    function,
)


@kernel
def max_pool_tangent(x, direction, window, y):
    of_rows, of_columns = axes(x.shape, window)
    floor = x.dtype.type(-inf)
    for i in range(y.shape[0]):
        for a in range(y.shape[1]):
            rows = inside(a, of_rows)
            for b in range(y.shape[2]):
                take_largest(x[i], rows, inside(b, of_columns), direction[i], floor, y[i, a, b])


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the same of the direction's tangent: which numbers are largest does not change."""
    change = tangents.of(step.operands[1])
    return None if change is None else plan.again(step, step.x, change)


OPERATION = Operation(
    "max_pool_tangent",
    function(max_pool_tangent),
    {"direction": function(max_pool_backward, "dy", "x", "window", "floor", "adds", "d_direction")},
    operands=("x", "direction"),
    tangent=_tangent,
    numbers={"floor": -inf},
    sample=SAMPLE,
)
