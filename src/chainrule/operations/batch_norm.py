"""Batch normalization: each feature to mean 0 and variance 1 over the batch.

Its sums over the rows of the batch are added up in chunks of rows, so that they do not depend on
the number of threads. ``moments`` are, for each chunk, how many rows it has, and each feature's
mean and sum of squared deviations from it; they are merged as in Chan, Golub and LeVeque,
*Algorithms for Computing the Sample Variance*, The American Statistician 37, 1983.
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
def batch_norm_moments(x, chunk_moments):
    zero, rows = x.dtype.type(0), x.dtype.type(x.shape[0])
    count, mean, squares = chunk_moments[0], chunk_moments[1], chunk_moments[2]
    for j in range(x.shape[1]):
        count[j] = mean[j] = squares[j] = zero
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            mean[j] += row[j]
    for j in range(x.shape[1]):
        mean[j] /= rows
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            deviation = row[j] - mean[j]
            count[j] += deviation  # 0, but for the rounding of the mean
            squares[j] += deviation * deviation
    for j in range(x.shape[1]):
        off = count[j] / rows
        mean[j] += off
        squares[j] -= off * off * rows
        count[j] = rows


@kernel
def merge_moments(moments, mean, squares):
    """Write mean and sum of squared deviations of all rows; return how many these are."""
    zero = mean.dtype.type(0)
    rows = zero
    for j in range(mean.size):
        mean[j] = squares[j] = zero
    for c in range(moments.shape[0]):
        more, of_chunk, deviations = moments[c, 0, 0], moments[c, 1], moments[c, 2]
        part = more / (rows + more)
        for j in range(mean.size):
            change = of_chunk[j] - mean[j]
            mean[j] += change * part
            squares[j] += deviations[j] + change * change * rows * part
        rows += more
    return rows


@kernel
def batch_norm(x, moments, eps, scratch, y):
    k, one = x.shape[1], x.dtype.type(1)
    mean, scale, eps = scratch[:k], scratch[k : 2 * k], x.dtype.type(eps)
    rows = merge_moments(moments, mean, scale)
    for j in range(k):
        scale[j] = one / sqrt(scale[j] / rows + eps)
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        for j in range(k):
            out[j] = (row[j] - mean[j]) * scale[j]


@kernel
def batch_norm_products(dy, y, chunk_products):
    sums, products, zero = chunk_products[0], chunk_products[1], dy.dtype.type(0)
    for j in range(dy.shape[1]):
        sums[j] = products[j] = zero
    for i in range(dy.shape[0]):
        d_row, row = dy[i], y[i]
        for j in range(dy.shape[1]):
            sums[j] += d_row[j]
            products[j] += d_row[j] * row[j]


@kernel
def batch_norm_backward(dy, y, moments, products, eps, scratch, dx):
    k, one, zero = dy.shape[1], dy.dtype.type(1), dy.dtype.type(0)
    mean, scale, eps = scratch[:k], scratch[k : 2 * k], dy.dtype.type(eps)
    of_y = scratch[2 * k : 3 * k]
    rows = merge_moments(moments, mean, scale)
    for j in range(k):
        scale[j] = one / sqrt(scale[j] / rows + eps)
        mean[j] = of_y[j] = zero
    for c in range(products.shape[0]):
        for j in range(k):
            mean[j] += products[c, 0, j]  # of dy
            of_y[j] += products[c, 1, j]
    for j in range(k):
        mean[j] /= rows
        of_y[j] /= rows
    for i in range(dy.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        for j in range(k):
            out[j] = (d_row[j] - mean[j] - row[j] * of_y[j]) * scale[j]


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
    """Return the room for three numbers of each feature."""
    return 3 * step.x.shape[-1] * item


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the tangent by the means over the batch."""
    k = step.x.shape[-1]
    sums = {"sums": (2, k), "sums_back": (2, k)}

    def mean(x: Tensor, factor: float, offset: float) -> Tensor:
        return plan.rescale(plan.apply("batch_mean", x, sums=sums), factor, offset)

    return tangent_of_normalization(plan, step, tangents, mean, eps=step.number("eps"))


OPERATION = Operation(
    "batch_norm",
    function(batch_norm),
    {"x": (function(batch_norm_products), function(batch_norm_backward))},
    reduce=function(batch_norm_moments),
    update_buffers=function(batch_norm_update),
    view=View.LAST_AXIS,
    tangent=_tangent,
    scratch_bytes=_scratch_bytes,
    sample={
        "sums": {"moments": (3, 2), "products": (2, 2)},
        "buffers": {"running_mean": (2,), "running_var": (2,), "num_batches_tracked": (1,)},
    },
)
