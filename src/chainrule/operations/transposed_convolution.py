"""Transposed convolution: to a convolution what the gradient by its input is.

Each pixel of x, times the weight, is a window of y; windows are added up where they overlap. The
weight and ``window`` are those of the convolution from y to x, see ``convolution.py``.
"""

from __future__ import annotations

from math import inf

from chainrule.kernels.convolution import (
    add_bias,
    add_windows,
    multiply_windows,
    parameter_gradients,
)
from chainrule.kernels.jit import kernel
from chainrule.kernels.views import flat
from chainrule.operations.convolution import (
    SAMPLE,
    bilinear_tangent,
    convolution_backward_bias,
    has_few_parameters,
    scratch_bytes,
)
from chainrule.operations.operation import Operation, Step, function

NO_FLOOR = -inf


@kernel
def transposed_convolution(x, weight, bias, window, floor, scratch, y):
    add_windows(x, weight, window, 0, scratch, y)
    add_bias(bias, y.dtype.type(floor), y)


@kernel
def transposed_convolution_backward(dy, weight, window, scratch, dx):
    no_floor = dx.dtype.type(NO_FLOOR)
    multiply_windows(dy, weight, flat(weight)[:0], window, no_floor, scratch, dx)


@kernel
def transposed_convolution_backward_weight(x, dy, window, begin, adds, scratch, d_weight):
    no_bias = flat(d_weight)[:0]  # that of the convolution has as many numbers as x has channels
    parameter_gradients(dy, x, window, begin, adds, scratch, d_weight, no_bias)


def _multiply_adds(step: Step) -> int:
    """Return how many a row of the batch takes, in one pass."""
    return step.x.size * step.parameters["weight"].shape[0]


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    window = step.numbers["window"]
    return scratch_bytes(step.y.shape, step.x.shape, window, rows, item, backward=True)


OPERATION = Operation(
    "transposed_convolution",
    function(transposed_convolution),
    {"x": function(transposed_convolution_backward)},
    {
        "weight": function(transposed_convolution_backward_weight),
        "bias": function(convolution_backward_bias),
    },
    tangent=bilinear_tangent,
    multiply_adds=_multiply_adds,
    prefers_chunks=has_few_parameters,
    scratch_bytes=_scratch_bytes,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    sample=SAMPLE,
)
