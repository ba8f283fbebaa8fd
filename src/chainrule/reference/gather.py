"""Copy rows: those of a mini-batch to where the plan expects them, and outputs to the caller."""

import numpy as np


def gather_rescaled(memory, dtype, first, stride, order, scale, offset, out):
    """``out = x[order] * scale + offset``, computed in out's dtype.

    Row i of x begins ``first + i * stride`` bytes into ``memory``; ``dtype`` is the number of x's
    dtype, the code of its character in NumPy: ``ord(x.dtype.char)``.
    """
    element = np.dtype(chr(dtype))
    starts = first + stride * order
    rows = memory[starts[:, None] + np.arange(out.shape[1] * element.itemsize)].view(element)
    number = out.dtype.type
    out[...] = rows.astype(number) * number(scale) + number(offset)


def gather_rows(source, order, out):
    """``out = source[order]``, for matrices."""
    out[...] = source[order]


def gather_values(source, order, out):
    """``out = source[order]``, for vectors."""
    out[...] = source[order]


def gather_weights(source, order, out):
    """``out = source[order]``; ones if there are no weights."""
    out[...] = source[order] if source.size > 0 else 1


def sum_of_weights(weights, order, total):
    """Write the sum of the sizes of these rows' weights; each is 1 if there are none."""
    total[0] = np.abs(weights[order]).sum(dtype=float) if weights.size > 0 else order.size


def add_up_weights(weight, total):
    """Write the sum of the sizes of the weights of all rows of a batch."""
    total[0] = np.abs(weight).sum(dtype=float)


def normalize_weights(weights, total, weight, out):
    """Scale some rows' weights so that the sizes of all, ``weights``, sum up to total."""
    result = np.abs(weights).sum(dtype=float)
    out[...] = weight * (total / result if result > 0 else 0.0)
