"""Average-pooling: the mean of each window of an image, channel by channel."""

from __future__ import annotations

from chainrule.kernels.jit import kernel
from chainrule.kernels.pooling import axes, give_all, inside, is_tiled, mean, overlap, write_zeros
from chainrule.operations.max_pool import SAMPLE
from chainrule.operations.operation import Operation, function, tangent_of_linear_map


@kernel
def _counted(axis, count_include_pad):
    """Return the axis whose elements in a window are counted: with its padding, or without."""
    length, kernel_size, stride, padding, dilation = axis
    if count_include_pad:
        return length + 2 * padding, kernel_size, stride, 0, dilation
    return length, kernel_size, stride, padding, dilation


@kernel
def _length(place, axis):
    first, stop, _ = inside(place, axis)
    return stop - first


@kernel
def avg_pool(x, window, count_include_pad, y):
    of_rows, of_columns = axes(x.shape, window)
    all_rows = _counted(of_rows, count_include_pad)
    all_columns = _counted(of_columns, count_include_pad)
    for i in range(y.shape[0]):
        for a in range(y.shape[1]):
            rows, height = inside(a, of_rows), _length(a, all_rows)
            for b in range(y.shape[2]):
                count = x.dtype.type(height * _length(b, all_columns))
                mean(x[i], rows, inside(b, of_columns), count, y[i, a, b])


@kernel
def avg_pool_backward(dy, window, count_include_pad, adds, dx):
    of_rows, of_columns = axes(dx.shape, window)
    all_rows = _counted(of_rows, count_include_pad)
    all_columns = _counted(of_columns, count_include_pad)
    sums = int(adds or overlap(of_rows) or overlap(of_columns))
    clears = not (adds or is_tiled(of_rows, of_columns, dy))
    for i in range(dy.shape[0]):
        if clears:
            write_zeros(dx[i])
        for a in range(dy.shape[1]):
            rows, height = inside(a, of_rows), _length(a, all_rows)
            for b in range(dy.shape[2]):
                count = dy.dtype.type(height * _length(b, all_columns))
                give_all(dx[i], rows, inside(b, of_columns), count, dy[i, a, b], sums)


OPERATION = Operation(
    "avg_pool",
    function(avg_pool),
    {"x": function(avg_pool_backward)},
    tangent=tangent_of_linear_map,
    sample={**SAMPLE, "count_include_pad": 1},
)
