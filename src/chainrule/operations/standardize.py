"""Each column less a mean, by a standard deviation, both known: what batch normalization predicts.

``center`` is 1; in a tangent, where the mean is a constant that does not change, it is 0.
"""

from __future__ import annotations

from math import sqrt

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
def standardize(x, mean, variance, eps, center, scratch, y):
    k, one = x.shape[1], x.dtype.type(1)
    scale, eps, center = scratch[:k], x.dtype.type(eps), x.dtype.type(center)
    for j in range(k):
        scale[j] = one / sqrt(variance[j] + eps)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        for j in range(k):
            out[j] = (row[j] - center * mean[j]) * scale[j]


@kernel
def standardize_backward(dy, variance, eps, scratch, dx):
    k, one = dy.shape[1], dy.dtype.type(1)
    scale, eps = scratch[:k], dy.dtype.type(eps)
    for j in range(k):
        scale[j] = one / sqrt(variance[j] + eps)
    for i in range(dy.shape[0]):
        d_row, out = dy[i], dx[i]
        for j in range(k):
            out[j] = d_row[j] * scale[j]


@kernel
def standardize_by_column(mean, variance, eps, center, scale, shift):
    one = mean.dtype.type(1)
    eps, center = mean.dtype.type(eps), mean.dtype.type(center)
    for j in range(mean.size):
        factor = one / sqrt(variance[j] + eps)
        scale[j] *= factor
        shift[j] = (shift[j] - center * mean[j]) * factor


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the same standard deviation."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    numbers = {**step.numbers, "center": 0.0}
    return plan.apply("standardize", dx, buffers=step.buffers, numbers=numbers)


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the bytes of a number for each column."""
    return step.x.shape[-1] * item


OPERATION = Operation(
    "standardize",
    function(standardize),
    {"x": function(standardize_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    scratch_bytes=_scratch_bytes,
    numbers={"center": 1.0},
    by_column=function(standardize_by_column),
    sample={"buffers": {"mean": (2,), "variance": (2,)}},
)
