"""Depthwise convolution: each channel has a kernel of its own, and no product runs over channels.

Loops run along the channels. ``window`` is that of ``convolution.py``.
"""

from __future__ import annotations

from math import inf

from chainrule.kernels.jit import kernel
from chainrule.kernels.pooling import axes, inside, write_zeros
from chainrule.operations.convolution import (
    SAMPLE,
    bilinear_tangent,
    convolution_backward_bias,
    has_few_parameters,
    multiply_adds,
)
from chainrule.operations.operation import Operation, function

NO_FLOOR = -inf


@kernel
def _places(place, axis):
    """Return what ``inside`` does, and where on the axis the window begins, in the padding too."""
    first, stop, step = inside(place, axis)
    return first, stop, step, place * axis[2] - axis[3]


@kernel
def depthwise_convolution(x, weight, bias, window, floor, y):
    of_rows, of_columns = axes(x.shape, window)
    least, zero = y.dtype.type(floor), y.dtype.type(0)
    for i in range(y.shape[0]):
        for a in range(y.shape[1]):
            first_row, last_row, step_row, top = _places(a, of_rows)
            for b in range(y.shape[2]):
                first, last, step, left = _places(b, of_columns)
                out = y[i, a, b]
                for c in range(out.size):
                    out[c] = bias[c] if bias.size > 0 else zero
                for row in range(first_row, last_row, step_row):
                    in_kernel = (row - top) // step_row * of_columns[1]
                    for column in range(first, last, step):
                        pixel = x[i, row, column]
                        factors = weight[in_kernel + (column - left) // step]
                        for c in range(out.size):
                            out[c] += pixel[c] * factors[c]
                if floor > NO_FLOOR:
                    for c in range(out.size):
                        out[c] = least if out[c] < least else out[c]


@kernel
def depthwise_convolution_backward(dy, weight, window, adds, dx):
    of_rows, of_columns = axes(dx.shape, window)
    for i in range(dy.shape[0]):
        if not adds:
            write_zeros(dx[i])
        for a in range(dy.shape[1]):
            first_row, last_row, step_row, top = _places(a, of_rows)
            for b in range(dy.shape[2]):
                first, last, step, left = _places(b, of_columns)
                given = dy[i, a, b]
                for row in range(first_row, last_row, step_row):
                    in_kernel = (row - top) // step_row * of_columns[1]
                    for column in range(first, last, step):
                        pixel = dx[i, row, column]
                        factors = weight[in_kernel + (column - left) // step]
                        for c in range(given.size):
                            pixel[c] += given[c] * factors[c]


@kernel
def depthwise_convolution_backward_weight(x, dy, window, begin, adds, d_weight):
    of_rows, of_columns = axes(x.shape, window)
    for k in range(d_weight.shape[0]):
        total, zero = d_weight[k], d_weight.dtype.type(0)
        if not adds:
            for c in range(total.size):
                total[c] = zero
        down = (begin + k) // of_columns[1] * of_rows[4] - of_rows[3]
        right = (begin + k) % of_columns[1] * of_columns[4] - of_columns[3]
        for i in range(dy.shape[0]):
            for a in range(dy.shape[1]):
                row = a * of_rows[2] + down
                if row < 0 or row >= x.shape[1]:
                    continue
                for b in range(dy.shape[2]):
                    column = b * of_columns[2] + right
                    if 0 <= column < x.shape[2]:
                        pixel, given = x[i, row, column], dy[i, a, b]
                        for c in range(total.size):
                            total[c] += pixel[c] * given[c]


OPERATION = Operation(
    "depthwise_convolution",
    function(depthwise_convolution),
    {"x": function(depthwise_convolution_backward)},
    {
        "weight": function(depthwise_convolution_backward_weight),
        "bias": function(convolution_backward_bias),
    },
    tangent=bilinear_tangent,
    multiply_adds=multiply_adds,
    prefers_chunks=has_few_parameters,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    weighs_columns=True,
    sample=SAMPLE,
)
