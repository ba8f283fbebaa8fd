"""Batch normalization: each feature to mean 0 and variance 1 over the batch.

Its sums over the rows of the batch are added up in chunks of rows, so that they do not depend on
the number of threads. ``moments`` are, for each chunk, how many rows it has, and each feature's
mean, sum of squared deviations from it, and what the mean was rounded by; they are merged as in
Chan, Golub and LeVeque, *Algorithms for Computing the Sample Variance*, The American Statistician
37, 1983. Where means are far from 0, their rounding is a large part of how chunks differ.

A weight and a bias for each feature are part of the same passes: in training, an image's features
are far more than fit into a cache. What the backward pass adds up are their gradients as well.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np

from chainrule.kernels import blocks
from chainrule.kernels.jit import kernel
from chainrule.kernels.narrow import fold, repeat, wide_row
from chainrule.kernels.views import flat
from chainrule.operations.normalization import tangent_of_normalization
from chainrule.operations.operation import (
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    find,
    function,
)


@kernel
def batch_norm_moments(x, scratch, chunk_moments):
    k, numbers = x.shape[x.ndim - 1], flat(x)
    rows, width = x.dtype.type(x.size // k), wide_row(k)
    mean, off, squares = scratch[:width], scratch[width : 2 * width], scratch[2 * width : 3 * width]
    for j in range(width):
        mean[j] = off[j] = squares[j] = x.dtype.type(0)
    for begin in range(0, numbers.size, width):
        row = numbers[begin : begin + width]
        for j in range(row.size):
            mean[j] += row[j]
    fold(mean, k)
    for j in range(k):
        mean[j] /= rows
    repeat(mean, k)
    for begin in range(0, numbers.size, width):
        row = numbers[begin : begin + width]
        for j in range(row.size):
            deviation = row[j] - mean[j]
            off[j] += deviation  # 0, but for the rounding of the mean
            squares[j] += deviation * deviation
    fold(off, k)
    fold(squares, k)
    for j in range(k):
        shift = off[j] / rows
        chunk_moments[0, j] = rows
        chunk_moments[1, j] = mean[j]
        # Not below 0 by rounding, where a feature is constant.
        chunk_moments[2, j] = max(squares[j] - shift * shift * rows, x.dtype.type(0))
        chunk_moments[3, j] = shift


@kernel
def merge_moments(moments, mean, squares):
    """Write mean and sum of squared deviations of all rows; return how many these are."""
    zero = mean.dtype.type(0)
    rows = zero
    for j in range(mean.size):
        mean[j] = squares[j] = zero
    first = moments[0, 1]  # means are counted from there, so that they keep their digits
    for c in range(moments.shape[0]):
        more, of_chunk, deviations = moments[c, 0, 0], moments[c, 1], moments[c, 2]
        shift, part = moments[c, 3], more / (rows + more)
        for j in range(mean.size):
            # In float64: LLVM may exchange the terms, and a sum of large ones has few digits.
            away = np.float64(of_chunk[j]) - first[j] + shift[j]
            change = mean.dtype.type(away - mean[j])
            mean[j] += change * part
            squares[j] += deviations[j] + change * change * rows * part
        rows += more
    for j in range(mean.size):
        mean[j] += first[j]
    return rows


@kernel
def mean_and_scale(moments, eps, mean, scale):
    """Write the mean of all rows, and one by their deviation; return how many there are."""
    one, eps = mean.dtype.type(1), mean.dtype.type(eps)
    rows = merge_moments(moments, mean, scale)
    for j in range(mean.size):
        scale[j] = one / sqrt(scale[j] / rows + eps)
    return rows


@kernel
def scale_and_shift(weight, bias, scale, shift):
    """Multiply the scale by the weight, and write the bias as the shift."""
    for j in range(shift.size):
        shift[j] = shift.dtype.type(0)
    for j in range(weight.size):
        scale[j] *= weight[j]
    for j in range(bias.size):
        shift[j] = bias[j]


@kernel
def mean_products(products, rows, scale, of_dy, of_x):
    """Write the mean of dy, and of dy times the normalized x, which is ``scale`` times x."""
    for j in range(of_dy.size):
        of_dy[j] = of_x[j] = of_dy.dtype.type(0)
    for c in range(products.shape[0]):
        for j in range(of_dy.size):
            of_dy[j] += products[c, 0, j]
            of_x[j] += products[c, 1, j]
    for j in range(of_dy.size):
        of_dy[j] /= rows
        of_x[j] = of_x[j] / rows * scale[j]


@kernel
def batch_norm(x, moments, eps, weight, bias, floor, scratch, y):
    k, floor = x.shape[1], x.dtype.type(floor)
    numbers, results, width = flat(x), flat(y), wide_row(x.shape[1])
    mean, scale, shift = scratch[:width], scratch[width : 2 * width], scratch[2 * width : 3 * width]
    mean_and_scale(moments, eps, mean[:k], scale[:k])
    scale_and_shift(weight, bias, scale[:k], shift[:k])
    for vector in (mean, scale, shift):
        repeat(vector, k)
    for begin in range(0, numbers.size, width):
        row, out = numbers[begin : begin + width], results[begin : begin + width]
        for j in range(row.size):
            z = (row[j] - mean[j]) * scale[j] + shift[j]
            out[j] = floor if z < floor else z  # a NaN stays a NaN


@kernel
def batch_norm_products(dy, x, moments, eps, scratch, chunk_products):
    k, numbers, slopes, width = dy.shape[1], flat(x), flat(dy), wide_row(dy.shape[1])
    mean, scale = scratch[:width], scratch[width : width + k]
    sums, products = scratch[2 * width : 3 * width], scratch[3 * width : 4 * width]
    mean_and_scale(moments, eps, mean[:k], scale)
    repeat(mean, k)
    for j in range(width):
        sums[j] = products[j] = dy.dtype.type(0)
    for begin in range(0, numbers.size, width):
        row, d_row = numbers[begin : begin + width], slopes[begin : begin + width]
        for j in range(row.size):
            sums[j] += d_row[j]
            products[j] += d_row[j] * (row[j] - mean[j])
    fold(sums, k)
    fold(products, k)
    for j in range(k):
        chunk_products[0, j] = sums[j]
        chunk_products[1, j] = products[j] * scale[j]


@kernel
def batch_norm_backward(dy, x, moments, products, eps, weight, scratch, dx):
    k, width = dy.shape[1], wide_row(dy.shape[1])
    numbers, slopes, results = flat(x), flat(dy), flat(dx)
    mean, factor = scratch[:width], scratch[width : 2 * width]
    of_dy, of_x = scratch[2 * width : 3 * width], scratch[3 * width : 4 * width]
    rows = mean_and_scale(moments, eps, mean[:k], factor[:k])
    mean_products(products, rows, factor[:k], of_dy[:k], of_x[:k])
    for j in range(weight.size):
        factor[j] *= weight[j]
    for vector in (mean, factor, of_dy, of_x):
        repeat(vector, k)
    for begin in range(0, numbers.size, width):
        row, d_row = numbers[begin : begin + width], slopes[begin : begin + width]
        out = results[begin : begin + width]
        for j in range(row.size):
            out[j] = (d_row[j] - of_dy[j] - (row[j] - mean[j]) * of_x[j]) * factor[j]


@kernel
def batch_norm_backward_weight(products, adds, d_weight):
    for j in range(d_weight.size):
        total = d_weight[j] if adds else d_weight.dtype.type(0)
        for c in range(products.shape[0]):
            total += products[c, 1, j]
        d_weight[j] = total


@kernel
def batch_norm_backward_bias(products, adds, d_bias):
    for j in range(d_bias.size):
        total = d_bias[j] if adds else d_bias.dtype.type(0)
        for c in range(products.shape[0]):
            total += products[c, 0, j]
        d_bias[j] = total


@kernel
def batch_norm_update(moments, momentum, scratch, running_mean, running_var, num_batches_tracked):
    k, one = running_mean.size, running_mean.dtype.type(1)
    mean, squares = scratch[:k], scratch[k : 2 * k]
    rows = merge_moments(moments, mean, squares)
    num_batches_tracked[0] += one
    part = running_mean.dtype.type(momentum)
    if momentum < 0:  # an average over all batches
        part = one / num_batches_tracked[0]
    for j in range(k):
        running_mean[j] += (mean[j] - running_mean[j]) * part
        running_var[j] += (squares[j] / (rows - one) - running_var[j]) * part


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the bytes of four numbers for each column of a wide row."""
    return 4 * blocks.wide_row(step.x.shape[-1]) * item


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the means over the batch, of a step without weight and bias."""
    k = step.x.shape[-1]
    sums = {"sums": (2, k), "sums_back": (2, k)}

    def mean(x: Tensor, factor: float, offset: float) -> Tensor:
        return plan.rescale(plan.apply("batch_mean", x, sums=sums), factor, offset)

    return tangent_of_normalization(plan, step, tangents, mean, eps=step.number("eps"))


SAMPLE = {
    "weight": (2,),
    "bias": (2,),
    "sums": {"moments": (4, 2), "products": (2, 2)},
    "buffers": {"running_mean": (2,), "running_var": (2,), "num_batches_tracked": (1,)},
}


def _merge(step: Step, after: Step) -> Operation | None:
    """Return the operation that max-pools what it normalizes, if each pixel is in one window."""
    if after.operation.name != "max_pool" or after.x.shape[-1] != step.x.shape[-1]:
        return None
    of_window = after.numbers["window"]
    kernel_size, stride, padding, dilation = (of_window[i : i + 2] for i in range(0, 8, 2))
    covered = tuple(n * step for n, step in zip(after.y.shape, stride, strict=False))
    if (kernel_size, padding, dilation, covered) != (stride, (0, 0), (1, 1), after.x.shape[:2]):
        return None
    both: Operation = find("batch_norm_max_pool")
    return both


OPERATION = Operation(
    "batch_norm",
    function(batch_norm),
    {"x": (function(batch_norm_products), function(batch_norm_backward))},
    gradients={
        "weight": function(batch_norm_backward_weight),
        "bias": function(batch_norm_backward_bias),
    },
    optional=frozenset({"weight", "bias"}),
    reduce=function(batch_norm_moments),
    update_buffers=function(batch_norm_update),
    view=View.LAST_AXIS,
    tangent=_tangent,
    merge=_merge,
    scratch_bytes=_scratch_bytes,
    numbers={"floor": -inf},
    fuse={"relu": {"floor": 0.0}},
    sample=SAMPLE,
)
