"""Convolution: each window of an image times a weight.

Images are ``(height, width, channels)``. The weight is a matrix with a row for each element of a
window, and a column for each output channel. ``window`` are the kernel's height and width; strides,
paddings before an image and dilations in the same order; and the number of groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod

from chainrule.kernels.convolution import (
    LEAST_PRODUCTS,
    LINE_BYTES,
    PRODUCT_BYTES,
    WINDOWS,
    add_windows,
    multiply_windows,
    parameter_gradients,
    sum_pixels,
)
from chainrule.kernels.indirect import PANEL_BYTES, PLACE_BYTES
from chainrule.kernels.jit import kernel
from chainrule.kernels.vectors import VECTOR_BYTES
from chainrule.kernels.windows import Windows, joined, lay_out
from chainrule.operations.operation import (
    Operation,
    ParameterUse,
    Shape,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    function,
)

FEW = 4  # parameters for each element of an image and its outputs
SAMPLE = {"shape": (1, 1, 1), "weight": (1, 1), "bias": (1,), "window": (1.0,) * 9}


@kernel
def convolution(x, weight, bias, window, floor, scratch, y):
    multiply_windows(x, weight, bias, window, y.dtype.type(floor), scratch, y)


@kernel
def convolution_backward(dy, weight, window, adds, scratch, dx):
    add_windows(dy, weight, window, adds, scratch, dx)


@kernel
def convolution_backward_parameters(x, dy, window, begin, adds, scratch, d_weight, d_bias):
    parameter_gradients(x, dy, window, begin, adds, scratch, d_weight, d_bias)


@kernel
def convolution_backward_bias(dy, adds, d_bias):
    """Write the gradient by the bias alone, for the other kinds of convolution."""
    sum_pixels(dy, adds, d_bias)


def bilinear_tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the same operation of the tangent of x, and of x by the parameters' directions."""
    dx, by_x, by_parameters = tangents.of(step.x), None, None
    if dx is not None:
        by_x = _again(plan, step, dx, {"weight": step.parameters["weight"]})
    if tangents.parameters_change and not step.along_direction:
        directions = {name: use.along_direction() for name, use in step.parameters.items()}
        by_parameters = _again(plan, step, step.x, directions)
    return plan.sum_of(by_x, by_parameters)


def _again(
    plan: StepBuilder, step: Step, x: Tensor, parameters: Mapping[str, ParameterUse]
) -> Tensor:
    return plan.apply(
        step.operation, x, shape=step.y.shape, parameters=parameters, numbers=step.numbers
    )


def scratch_bytes(
    shape: Shape, out_shape: Shape, window: Sequence[float], rows: int, item: int, *, backward: bool
) -> int:
    """Return the workspace of a convolution and its derivatives, for a batch of ``rows`` images.

    ``shape`` and ``out_shape`` are those of an image and of its outputs.
    """
    w = Windows(*shape, *out_shape, *map(int, window))
    panel = PANEL_BYTES // item
    count = joined(w, VECTOR_BYTES // item, panel)
    k = w.kernel_height * w.kernel_width * (w.channels // w.groups)
    most_products = min(max(int(PRODUCT_BYTES) // (k * item), int(LEAST_PRODUCTS)), int(WINDOWS))
    passes = [(count, int(WINDOWS), 0), *([(1, most_products, k)] if backward else [])]
    most = 0
    for joined_windows, at_a_time, products in passes:
        own = lay_out(w, joined_windows, at_a_time)
        images, terms = min(own.images, rows), own.pieces * own.run
        pixels = images * own.lines * own.columns
        packed = (terms + panel) * (own.outputs + panel * own.groups)
        numbers = packed + own.outputs + pixels * products + images * own.image_size
        most = max(most, (pixels + 2 * own.pieces + terms) * PLACE_BYTES + numbers * item)
    return int(most + 8 * LINE_BYTES)


def multiply_adds(step: Step) -> int:
    """Return how many a row of the batch takes, in one pass."""
    return step.y.size * step.parameters["weight"].shape[0]


def has_few_parameters(step: Step) -> bool:
    """Tell whether to write the weight for each chunk takes less time than to exchange images.

    With several threads, half of the images and more were written by another core.
    """
    return prod(step.parameters["weight"].shape) <= FEW * (step.x.size + step.y.size)


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    window = step.numbers["window"]
    lengths = step.x.shape, step.y.shape
    return scratch_bytes(*lengths, window, rows, item, backward=backward)


OPERATION = Operation(
    "convolution",
    function(convolution),
    {"x": function(convolution_backward)},
    {
        "weight": function(convolution_backward_parameters),
        "bias": function(convolution_backward_parameters),
    },
    tangent=bilinear_tangent,
    multiply_adds=multiply_adds,
    prefers_chunks=has_few_parameters,
    scratch_bytes=_scratch_bytes,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    weighs_columns=True,
    sample=SAMPLE,
)
