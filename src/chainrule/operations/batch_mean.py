"""The mean of each column over the rows of the batch, in each row.

A part of the tangent of batch normalization, which adds its sums up in chunks of rows as well.
"""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import (
    Operation,
    Step,
    View,
    function,
    tangent_of_linear_map,
)


@kernel
def batch_mean_sums(x, chunk_sums):
    count, total, zero = chunk_sums[0], chunk_sums[1], x.dtype.type(0)
    rows = x.dtype.type(x.shape[0])
    for j in range(x.shape[1]):
        count[j], total[j] = rows, zero
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            total[j] += row[j]


@kernel
def batch_mean(sums, scratch, y):
    k, rows = y.shape[1], y.dtype.type(0)
    mean = scratch[:k]
    for j in range(k):
        mean[j] = rows
    for c in range(sums.shape[0]):
        rows += sums[c, 0, 0]
        for j in range(k):
            mean[j] += sums[c, 1, j]
    for j in range(k):
        mean[j] /= rows
    for i in range(y.shape[0]):
        out = y[i]
        for j in range(k):
            out[j] = mean[j]


def _scratch_bytes(step: Step, rows: int, item: int, backward: bool) -> int:
    """Return the bytes of a number for each column."""
    return step.x.shape[-1] * item


OPERATION = Operation(
    "batch_mean",
    function(batch_mean),
    {
        "x": (
            function(batch_mean_sums, "dy", "chunk_sums_back"),
            function(batch_mean, "sums_back", "scratch", "dx"),
        )
    },
    reduce=function(batch_mean_sums),
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
    scratch_bytes=_scratch_bytes,
    sample={"sums": {"sums": (2, 2), "sums_back": (2, 2)}},
)
