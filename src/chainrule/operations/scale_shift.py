"""A weight and maybe a bias for each column: ``y = x * weight + bias``, behind normalizations.

What is below ``floor`` becomes it: with 0, a ReLU in the same pass.
"""

from __future__ import annotations

from math import inf

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
def scale_shift(x, weight, bias, floor, y):
    floor = x.dtype.type(floor)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        if bias.size > 0:
            for j in range(row.size):
                z = row[j] * weight[j] + bias[j]
                out[j] = floor if z < floor else z  # a NaN stays a NaN
        else:
            for j in range(row.size):
                z = row[j] * weight[j]
                out[j] = floor if z < floor else z


@kernel
def scale_shift_by_column(weight, bias, scale, shift):
    for j in range(weight.size):
        scale[j] *= weight[j]
        shift[j] *= weight[j]
    for j in range(bias.size):
        shift[j] += bias[j]


@kernel
def scale_shift_backward(dy, x, weight, dx, d_weight, d_bias):
    zero = dy.dtype.type(0)
    for j in range(d_weight.size):
        d_weight[j] = zero
    for j in range(d_bias.size):
        d_bias[j] = zero
    for i in range(dy.shape[0]):
        d_row, row, out = dy[i], x[i], dx[i]
        for j in range(row.size):
            out[j] = d_row[j] * weight[j]
        for j in range(row.size):
            d_weight[j] += d_row[j] * row[j]
        for j in range(d_bias.size):
            d_bias[j] += d_row[j]


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``dx * weight``, and ``x`` by the weight's direction with the bias's."""
    dx, by_x, by_parameters = tangents.of(step.x), None, None
    if dx is not None:
        weight = {"weight": step.parameters["weight"]}
        by_x = plan.apply("scale_shift", dx, parameters=weight)
    if tangents.parameters_change and not step.along_direction:
        directions = {name: use.along_direction() for name, use in step.parameters.items()}
        by_parameters = plan.apply("scale_shift", step.x, parameters=directions)
    return plan.sum_of(by_x, by_parameters)


OPERATION = Operation(
    "scale_shift",
    function(scale_shift),
    {"x": function(scale_shift_backward)},
    view=View.LAST_AXIS,
    tangent=_tangent,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    by_column=function(scale_shift_by_column),
    sample={"weight": (2,), "bias": (2,)},
)
