"""The linear layer's product: ``y = x @ weight + bias``, along the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from chainrule.kernels.affine import (
    linear,
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
)
from chainrule.kernels.blocks import (
    DIRECT_BYTES,
    NARROW_BYTES,
    PACKED_BYTES,
    RIGHT_BYTES,
    packs_left,
)
from chainrule.kernels.samples import square_norms_of_products
from chainrule.operations.operation import (
    Operation,
    ParameterUse,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    function,
)


def tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``x @ d_weight + d_bias + dx @ weight``; a direction itself does not change."""
    dx, dy = tangents.of(step.x), tangents.of(step.y)  # the second where the step adds to y
    if tangents.parameters_change and not step.along_direction:
        parameters = {name: use.along_direction() for name, use in step.parameters.items()}
        dy = _append(plan, step, step.x, dy, parameters)
    if dx is not None:
        dy = _append(plan, step, dx, dy, {"weight": step.parameters["weight"]})
    return dy


def _append(
    plan: StepBuilder,
    step: Step,
    x: Tensor,
    y: Tensor | None,
    parameters: Mapping[str, ParameterUse],
) -> Tensor:
    """Append a product that makes a value, or is added to ``y``."""
    if y is None:
        return plan.apply("linear", x, shape=step.y.shape, parameters=parameters)
    return plan.apply("linear_add", x, y=y, parameters=parameters)


def multiply_adds(step: Step) -> int:
    """Return how many a row of the batch takes, in one pass."""
    return step.y.size * step.x.shape[-1]


def scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the workspace of one thread: for a transpose, or for blocks."""
    inputs, outputs = step.x.shape[-1], step.y.shape[-1]
    row = outputs * item  # of what is transposed
    most = min(inputs * (row if backward else min(row, NARROW_BYTES)), DIRECT_BYTES)
    products = [(inputs, outputs, inputs)]  # terms, columns, and columns of the left factor
    if backward:
        products += [(outputs, inputs, outputs), (rows * (step.y.size // outputs), outputs, inputs)]
    is_packed = any(packs_left(*product, item) for product in products)
    return max(most, PACKED_BYTES if is_packed else RIGHT_BYTES)


BY_INPUT = function(linear_backward_input, "dy", "weight", "adds", "scratch", "dx")
BY_WEIGHT = function(linear_backward_weight, "x", "dy", "begin", "adds", "scratch", "d_weight")
BY_BIAS = function(linear_backward_bias, "dy", "adds", "d_bias")
SQUARE_NORMS = function(square_norms_of_products, "x", "dy", "has_bias", "squares")

OPERATION = Operation(
    "linear",
    function(linear, "x", "weight", "bias", "floor", "scratch", "y"),
    {"x": BY_INPUT},
    gradients={"weight": BY_WEIGHT, "bias": BY_BIAS},
    view=View.LAST_AXIS,
    tangent=tangent,
    multiply_adds=multiply_adds,
    scratch_bytes=scratch_bytes,
    square_norms=SQUARE_NORMS,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    weighs_columns=True,
    sample={"weight": (2, 2), "bias": (2,)},
)
