"""Gradient clipping: to a largest element, or to a largest norm."""

import math

import numpy as np

from chainrule.kernels.blocks import NORM_BLOCK
from chainrule.kernels.jit import kernel


@kernel
def sum_squares(x, squares):
    for block in range(squares.size):
        part = x[block * NORM_BLOCK : (block + 1) * NORM_BLOCK]
        total = 0.0
        for i in range(part.size):
            total += np.float64(part[i]) * np.float64(part[i])
        squares[block] = total


@kernel
def sum_squares_of_partition(x, squares, thread, threads):
    # All threads sum blocks, which are the same for any number of threads.
    blocks = (squares.size + threads - 1) // threads
    first = min(thread * blocks, squares.size)
    last = min(first + blocks, squares.size)
    sum_squares(x[first * NORM_BLOCK : last * NORM_BLOCK], squares[first:last])


@kernel
def clip_to_value(grads, limit):
    limit = grads.dtype.type(limit)
    for i in range(grads.size):
        g = grads[i]
        grads[i] = limit if g > limit else (-limit if g < -limit else g)


@kernel
def clip_to_norm(grads, squares, limit):
    total = 0.0
    for i in range(squares.size):
        total += squares[i]
    scale = limit / (math.sqrt(total) + 1e-6) + 0.0 * total  # NaN where the norm overflows
    if not scale >= 1.0:
        factor = grads.dtype.type(scale)
        for i in range(grads.size):
            grads[i] *= factor
