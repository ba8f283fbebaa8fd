"""Copy rows: those of a mini-batch to where the plan expects them, and outputs to the caller."""

import numpy as np

from chainrule.kernels.conversion import AHEAD, SIZES, convert_row, prefetch
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.views import flat


@kernel
def _is_block(order):
    """Tell whether the rows lie one behind the other, so that they are one long row."""
    for i in range(1, order.size):
        if order[i] != order[0] + i:
            return False
    return order.size > 0


@kernel
def gather_rescaled(memory, dtype, first, stride, order, scale, offset, out):
    scale, offset = out.dtype.type(scale), out.dtype.type(offset)
    rows, columns = out.shape
    start, far = memory.ctypes.data + first, abs(stride) >= AHEAD
    if stride == columns * SIZES[dtype] and _is_block(order):
        rows, columns, far = 1, rows * columns, False
    for i in range(rows):
        if far:
            prefetch(start + order[min(i + 1, rows - 1)] * stride)
        source = start + order[i] * stride
        destination = out.ctypes.data + i * columns * out.itemsize
        convert_row(dtype, source, destination, columns, scale, offset)


@kernel
def gather_rows(source, order, out):
    if _is_block(order):
        block, result = flat(source[order[0] : order[0] + order.size]), flat(out)
        for k in range(block.size):
            result[k] = block[k]
        return
    for i in range(order.size):
        row, destination = source[order[i]], out[i]
        for j in range(row.size):
            destination[j] = row[j]


@kernel
def gather_values(source, order, out):
    for i in range(order.size):
        out[i] = source[order[i]]


@kernel
def gather_weights(source, order, out):
    if source.size == 0:
        for i in range(out.size):
            out[i] = 1
    else:
        gather_values(source, order, out)


@kernel
def sum_of_weights(weights, order, total):
    if weights.size == 0:
        total[0] = order.size
    else:
        result = 0.0
        for i in range(order.size):
            result += abs(weights[order[i]])
        total[0] = result


@kernel
def add_up_weights(weight, total):
    result = 0.0
    for i in range(weight.size):
        result += abs(weight[i])
    total[0] = result


@kernel
def normalize_weights(weights, total, weight, out):
    result = 0.0
    for i in range(weights.size):
        result += abs(weights[i])
    scale = total / result if result > 0.0 else 0.0
    for i in range(weight.size):
        out[i] = scale * weight[i]


if JIT_DISABLED:  # addresses are for machine code

    def gather_rescaled(memory, dtype, first, stride, order, scale, offset, out):
        scale, offset = out.dtype.type(scale), out.dtype.type(offset)
        size = out.shape[1] * np.dtype(chr(dtype)).itemsize
        for i in range(order.size):
            start = first + order[i] * stride
            row = memory[start : start + size].view(np.dtype(chr(dtype)))
            out[i] = row.astype(out.dtype) * scale + offset
