"""Group normalization: the channels of each group to mean 0 and variance 1, in each sample.

A row is a sample: ``channels`` numbers at each of its places, one place after the other. Sums over
a group are added up channel by channel first, so that loops run over all channels of a place.
"""

from __future__ import annotations

from math import sqrt

from chainrule.kernels.jit import kernel
from chainrule.operations.normalization import tangent_of_normalization
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
def add_up_groups(sums, groups, count):
    """Replace each channel's sum by its group's, divided by a count."""
    width, zero = sums.size // groups, sums.dtype.type(0)
    for g in range(groups):
        group = sums[g * width : (g + 1) * width]
        total = zero
        for j in range(width):
            total += group[j]
        for j in range(width):
            group[j] = total / count


@kernel
def group_norm(x, groups, channels, eps, scratch, y, scale):
    zero, one, size = x.dtype.type(0), x.dtype.type(1), x.shape[1]
    mean, factor = scratch[:channels], scratch[channels : 2 * channels]
    count, eps, width = x.dtype.type(size // groups), x.dtype.type(eps), channels // groups
    for i in range(x.shape[0]):
        for j in range(channels):
            mean[j] = factor[j] = zero
        for begin in range(0, size, channels):
            place = x[i, begin : begin + channels]
            for j in range(channels):
                mean[j] += place[j]
        add_up_groups(mean, groups, count)
        for begin in range(0, size, channels):
            place = x[i, begin : begin + channels]
            for j in range(channels):
                deviation = place[j] - mean[j]
                factor[j] += deviation * deviation
        add_up_groups(factor, groups, count)
        for j in range(channels):
            factor[j] = one / sqrt(factor[j] + eps)
        for g in range(groups):
            scale[i, g] = factor[g * width]
        for begin in range(0, size, channels):
            place, out = x[i, begin : begin + channels], y[i, begin : begin + channels]
            for j in range(channels):
                out[j] = (place[j] - mean[j]) * factor[j]


@kernel
def group_norm_backward(dy, y, groups, channels, scale, scratch, dx):
    zero, size = dy.dtype.type(0), dy.shape[1]
    mean, of_y = scratch[:channels], scratch[channels : 2 * channels]
    factor = scratch[2 * channels : 3 * channels]
    count, width = dy.dtype.type(size // groups), channels // groups
    for i in range(dy.shape[0]):
        for j in range(channels):
            mean[j] = of_y[j] = zero
            factor[j] = scale[i, j // width]
        for begin in range(0, size, channels):
            d_place, place = dy[i, begin : begin + channels], y[i, begin : begin + channels]
            for j in range(channels):
                mean[j] += d_place[j]
                of_y[j] += d_place[j] * place[j]
        add_up_groups(mean, groups, count)
        add_up_groups(of_y, groups, count)
        for begin in range(0, size, channels):
            d_place, place = dy[i, begin : begin + channels], y[i, begin : begin + channels]
            out = dx[i, begin : begin + channels]
            for j in range(channels):
                out[j] = (d_place[j] - mean[j] - place[j] * of_y[j]) * factor[j]


def scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the bytes of three numbers for each channel."""
    return 3 * int(step.number("channels")) * item


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the means of groups."""
    grouping = {name: step.numbers[name] for name in ("groups", "channels")}
    count = step.x.size // grouping["groups"]

    def mean(x: Tensor, factor: float, offset: float) -> Tensor:
        return plan.rescale(plan.apply("sum_groups", x, numbers=grouping), factor / count, offset)

    return tangent_of_normalization(plan, step, tangents, mean, eps=step.number("eps"))


OPERATION = Operation(
    "group_norm",
    function(group_norm),
    {"x": function(group_norm_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    scratch_bytes=scratch_bytes,
    sample={"saved": {"scale": (1,)}, "groups": 1, "channels": 2},
)
