"""Embedding: each code picks a row of a table.

Codes are whole numbers, held in the plan's dtype; the layer checks them. A code out of range, as
where somebody changes X during a training, picks the table's nearest row.
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
def embedding(x, weight, y):
    last, k = weight.shape[0] - 1, x.shape[1]
    for i in range(x.shape[0]):
        for j in range(k):
            row, out = weight[min(max(int(x[i, j]), 0), last)], y[i * k + j]
            for d in range(row.size):
                out[d] = row[d]


@kernel
def embedding_backward(dx):
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[i, j] = zero


@kernel
def embedding_backward_weight(dy, x, padding, adds, cleared, begin, d_weight):
    zero, k = dy.dtype.type(0), x.shape[1]
    if not (adds or cleared):
        for i in range(d_weight.shape[0]):
            for d in range(d_weight.shape[1]):
                d_weight[i, d] = zero
    for i in range(x.shape[0]):
        for j in range(k):
            code = int(x[i, j])
            if begin <= code < begin + d_weight.shape[0] and code != padding:
                row, total = dy[i * k + j], d_weight[code - begin]
                for d in range(row.size):
                    total[d] += row[d]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the rows of the weight's direction: codes do not change."""
    if not tangents.parameters_change or step.along_direction:
        return None
    direction = {"weight": step.parameters["weight"].along_direction()}
    shape, numbers = step.y.shape, step.numbers
    return plan.apply("embedding", step.x, shape=shape, parameters=direction, numbers=numbers)


OPERATION = Operation(
    "embedding",
    function(embedding),
    {"x": function(embedding_backward)},
    {"weight": function(embedding_backward_weight)},
    rows_of={"weight": "x"},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"weight": (2, 1), "padding": -1},
)
