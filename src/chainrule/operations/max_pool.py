"""Max-pooling: the largest number of each window of an image, channel by channel.

Its maximum with a floor of 0 makes a ReLU of it.
"""

from __future__ import annotations

from math import inf

from chainrule.kernels.jit import kernel
from chainrule.kernels.pooling import (
    axes,
    give_largest,
    inside,
    is_tiled,
    overlap,
    take_largest,
    write_zeros,
)
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    function,
)


@kernel
def max_pool(x, window, floor, y):
    floor = x.dtype.type(floor)
    of_rows, of_columns = axes(x.shape, window)
    for i in range(y.shape[0]):
        for a in range(y.shape[1]):
            rows = inside(a, of_rows)
            for b in range(y.shape[2]):
                take_largest(x[i], rows, inside(b, of_columns), x[i], floor, y[i, a, b])


@kernel
def max_pool_backward(dy, x, window, floor, adds, dx):
    floor = x.dtype.type(floor)
    of_rows, of_columns = axes(x.shape, window)
    sums = int(adds or overlap(of_rows) or overlap(of_columns))
    clears = not (adds or is_tiled(of_rows, of_columns, dy))
    for i in range(dy.shape[0]):
        if clears:
            write_zeros(dx[i])
        for a in range(dy.shape[1]):
            rows = inside(a, of_rows)
            for b in range(dy.shape[2]):
                give_largest(x[i], rows, inside(b, of_columns), dy[i, a, b], floor, sums, dx[i])


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent where x has its windows' largest numbers."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    shape, numbers = step.y.shape, {"window": step.numbers["window"]}
    return plan.apply("max_pool_tangent", step.x, dx, shape=shape, numbers=numbers)


SAMPLE = {"shape": (1, 1, 1), "window": (1.0,) * 8}

OPERATION = Operation(
    "max_pool",
    function(max_pool),
    {"x": function(max_pool_backward)},
    tangent=_tangent,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    commutes_with=("relu",),
    sample=SAMPLE,
)
