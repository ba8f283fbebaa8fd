"""Batch normalization and max-pooling in one: what is normalized is never written.

Both are passes over images that do not fit into a cache. What pooling reads is computed anew
wherever it is needed, window by window: a training step reads or writes the numbers of the images 5
times instead of 11. Plans replace the two by it where each pixel is in exactly one window.
"""

from __future__ import annotations

from chainrule.kernels.jit import kernel
from chainrule.kernels.normalized_pooling import (
    MEAN,
    OF_DY,
    OF_X,
    SCALE,
    SHIFT,
    add_products,
    give_normalized,
    take_largest_normalized,
)
from chainrule.kernels.pooling import axes, inside
from chainrule.kernels.views import matrix
from chainrule.operations import batch_norm
from chainrule.operations.batch_norm import mean_and_scale, mean_products, scale_and_shift
from chainrule.operations.max_pool import SAMPLE as SAMPLE_OF_POOL
from chainrule.operations.operation import Operation, Step, function

NUMBERS, SUMS = 5, 3  # of each channel, in the workspace


@kernel
def batch_norm_max_pool(x, moments, eps, weight, bias, window, floor, scratch, y):
    floor, k = x.dtype.type(floor), x.shape[3]
    numbers = matrix(scratch[: NUMBERS * k], NUMBERS, k)
    mean_and_scale(moments, eps, numbers[MEAN], numbers[SCALE])
    scale_and_shift(weight, bias, numbers[SCALE], numbers[SHIFT])
    of_rows, of_columns = axes(x.shape, window)
    for i in range(y.shape[0]):
        for a in range(y.shape[1]):
            rows = inside(a, of_rows)
            for b in range(y.shape[2]):
                columns = inside(b, of_columns)
                take_largest_normalized(x[i], rows, columns, numbers, floor, y[i, a, b])


@kernel
def batch_norm_max_pool_products(
    dy, x, moments, eps, weight, bias, window, floor, scratch, chunk_products
):
    floor, k, zero = x.dtype.type(floor), x.shape[3], x.dtype.type(0)
    numbers = matrix(scratch[: NUMBERS * k], NUMBERS, k)
    of_image = matrix(scratch[NUMBERS * k : (NUMBERS + 2) * k], 2, k)
    own_scale = scratch[(NUMBERS + 2) * k : (NUMBERS + 3) * k]
    mean_and_scale(moments, eps, numbers[MEAN], own_scale)
    for j in range(k):
        numbers[SCALE, j] = own_scale[j]
        chunk_products[0, j] = chunk_products[1, j] = zero
    scale_and_shift(weight, bias, numbers[SCALE], numbers[SHIFT])
    of_rows, of_columns = axes(x.shape, window)
    for i in range(dy.shape[0]):
        for j in range(k):
            of_image[0, j] = of_image[1, j] = zero
        for a in range(dy.shape[1]):
            rows = inside(a, of_rows)
            for b in range(dy.shape[2]):
                columns = inside(b, of_columns)
                add_products(x[i], rows, columns, numbers, dy[i, a, b], floor, of_image)
        for j in range(k):
            chunk_products[0, j] += of_image[0, j]
            chunk_products[1, j] += of_image[1, j]
    for j in range(k):
        chunk_products[1, j] *= own_scale[j]


@kernel
def batch_norm_max_pool_backward(
    dy, x, moments, products, eps, weight, bias, window, floor, scratch, dx
):
    floor, k = x.dtype.type(floor), x.shape[3]
    numbers = matrix(scratch[: NUMBERS * k], NUMBERS, k)
    count = mean_and_scale(moments, eps, numbers[MEAN], numbers[SCALE])
    mean_products(products, count, numbers[SCALE], numbers[OF_DY], numbers[OF_X])
    scale_and_shift(weight, bias, numbers[SCALE], numbers[SHIFT])
    of_rows, of_columns = axes(x.shape, window)
    for i in range(dy.shape[0]):
        for a in range(dy.shape[1]):
            rows = inside(a, of_rows)
            for b in range(dy.shape[2]):
                columns = inside(b, of_columns)
                give_normalized(x[i], rows, columns, numbers, dy[i, a, b], floor, dx[i])


_OF_NORM = batch_norm.OPERATION


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the bytes of its own numbers, and of those of the moments before."""
    assert _OF_NORM.scratch_bytes is not None
    own = (NUMBERS + SUMS) * step.x.shape[-1] * item
    return max(own, _OF_NORM.scratch_bytes(step, rows, item, backward))


OPERATION = Operation(
    "batch_norm_max_pool",
    function(batch_norm_max_pool),
    {"x": (function(batch_norm_max_pool_products), function(batch_norm_max_pool_backward))},
    gradients=_OF_NORM.gradients,
    optional=_OF_NORM.optional,
    reduce=_OF_NORM.reduce,
    update_buffers=_OF_NORM.update_buffers,
    scratch_bytes=_scratch_bytes,
    numbers=_OF_NORM.numbers,
    fuse=_OF_NORM.fuse,
    sample={**batch_norm.SAMPLE, **SAMPLE_OF_POOL, "shape": (1, 1, 2)},
)
