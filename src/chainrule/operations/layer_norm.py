"""Layer normalization: each row to mean 0 and variance 1."""

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
def layer_norm(x, eps, y, scale):
    zero, one, k = x.dtype.type(0), x.dtype.type(1), x.dtype.type(x.shape[1])
    eps = x.dtype.type(eps)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        mean = squares = zero
        for j in range(row.size):
            mean += row[j]
        mean /= k
        for j in range(row.size):
            deviation = row[j] - mean
            squares += deviation * deviation
        factor = one / sqrt(squares / k + eps)
        scale[i, 0] = factor
        for j in range(row.size):
            out[j] = (row[j] - mean) * factor


@kernel
def layer_norm_backward(dy, y, scale, dx):
    zero, k = dy.dtype.type(0), dy.dtype.type(dy.shape[1])
    for i in range(dy.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        mean = of_y = zero
        for j in range(row.size):
            mean += d_row[j]
            of_y += d_row[j] * row[j]
        mean, of_y, factor = mean / k, of_y / k, scale[i, 0]
        for j in range(row.size):
            out[j] = (d_row[j] - mean - row[j] * of_y) * factor


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``(dx - mean(dx) - y * mean(y * dx)) / sqrt(variance + eps)``."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    deviation = _less_its_mean(plan, step.x)
    variance = _mean(plan, plan.apply("multiply", deviation, deviation), 1.0, step.number("eps"))
    scale = plan.apply("rsqrt", variance)
    change = _less_its_mean(plan, dx)
    along_y = _mean(plan, plan.apply("multiply", step.y, change), -1.0)
    change = plan.apply("add", change, plan.apply("multiply", step.y, along_y))
    return plan.apply("multiply", scale, change)


def _mean(plan: StepBuilder, x: Tensor, factor: float, offset: float = -0.0) -> Tensor:
    """Append the mean of each row times a factor, plus an offset, in each of its places."""
    return plan.rescale(plan.apply("sum_last_axis", x), factor / x.shape[-1], offset)


def _less_its_mean(plan: StepBuilder, x: Tensor) -> Tensor:
    return plan.apply("add", x, _mean(plan, x, -1.0))


OPERATION = Operation(
    "layer_norm",
    function(layer_norm),
    {"x": function(layer_norm_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    sample={"saved": {"scale": (1,)}},
)
