"""Dropout: elements left out at random, by a mask that the backward pass draws again."""

import numpy as np

from chainrule.kernels.jit import kernel
from chainrule.kernels.random import LOW_WORD, WORD_BITS, philox
from chainrule.operations.operation import Operation, View, function


@kernel
def dropout(x, y, p, key, step, number, first):
    dtype = x.dtype.type
    scale, zero = dtype(1.0 / (1.0 - p)), dtype(0.0)
    least = np.uint64(p * 4294967296.0)
    key0, key1 = np.uint64(key) & LOW_WORD, np.uint64(key) >> WORD_BITS
    step0, step1 = np.uint64(step) & LOW_WORD, np.uint64(step) >> WORD_BITS
    place, counted = np.uint64(number), first // 4
    groups = x.size // 4
    for i in range(groups):
        a, b, c, d = philox(np.uint64(counted + i), place, step0, step1, key0, key1)
        y[4 * i] = x[4 * i] * (scale if a >= least else zero)
        y[4 * i + 1] = x[4 * i + 1] * (scale if b >= least else zero)
        y[4 * i + 2] = x[4 * i + 2] * (scale if c >= least else zero)
        y[4 * i + 3] = x[4 * i + 3] * (scale if d >= least else zero)
    if x.size > 4 * groups:
        words = philox(np.uint64(counted + groups), place, step0, step1, key0, key1)
        for i in range(4 * groups, x.size):
            y[i] = x[i] * (scale if words[i % 4] >= least else zero)


@kernel
def dropout_backward(dy, dx, p, key, step, number, first):
    dropout(dy, dx, p, key, step, number, first)


MASK = "p", "mask_key", "mask_draw", "number", "position"

OPERATION = Operation(
    "dropout",
    function(dropout, "x", "y", *MASK),
    {"x": function(dropout_backward, "dy", "dx", *MASK)},
    view=View.FLAT,
    sample={"number": 0},
)
