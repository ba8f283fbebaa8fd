"""A part of each image, chosen at random, perhaps flipped; the backward pass draws it again.

The words of one counter are an image's: for the first row of the part, for its first column, for
turning rows around, and columns.
"""

import numpy as np

from chainrule.kernels.jit import kernel
from chainrule.kernels.random import LOW_WORD, WORD_BITS, philox
from chainrule.kernels.shifted import copy_shifted
from chainrule.operations.operation import Operation, function


@kernel
def _words(image, key, step, number):
    key0, key1 = np.uint64(key) & LOW_WORD, np.uint64(key) >> WORD_BITS
    step0, step1 = np.uint64(step) & LOW_WORD, np.uint64(step) >> WORD_BITS
    return philox(np.uint64(image), np.uint64(number), step0, step1, key0, key1)


@kernel
def _first(word, lowest, highest):
    """Return an integer from the lowest to the highest."""
    count = np.uint64(int(highest) - int(lowest) + 1)
    return int(lowest) + int((word * count) >> WORD_BITS)


@kernel
def _is_flipped(word, p):
    return word < np.uint64(p * 4294967296.0)


@kernel
def random_crop(x, lowest, highest, p, key, step, number, first, y):
    before = first // (x.shape[1] * x.shape[2] * x.shape[3])
    for i in range(x.shape[0]):
        words = _words(before + i, key, step, number)
        row, row_step = _first(words[0], lowest[0], highest[0]), 1
        column, column_step = _first(words[1], lowest[1], highest[1]), 1
        if _is_flipped(words[2], p[0]):
            row, row_step = row + y.shape[1] - 1, -1
        if _is_flipped(words[3], p[1]):
            column, column_step = column + y.shape[2] - 1, -1
        copy_shifted(x[i], row, row_step, column, column_step, y[i])


@kernel
def random_crop_backward(dy, lowest, highest, p, key, step, number, first, dx):
    before = first // (dx.shape[1] * dx.shape[2] * dx.shape[3])
    for i in range(dx.shape[0]):
        words = _words(before + i, key, step, number)
        row, row_step = -_first(words[0], lowest[0], highest[0]), 1
        column, column_step = -_first(words[1], lowest[1], highest[1]), 1
        if _is_flipped(words[2], p[0]):
            row, row_step = dy.shape[1] - 1 - row, -1
        if _is_flipped(words[3], p[1]):
            column, column_step = dy.shape[2] - 1 - column, -1
        copy_shifted(dy[i], row, row_step, column, column_step, dx[i])


DRAWN = "lowest", "highest", "p", "mask_key", "mask_draw", "number", "position"

OPERATION = Operation(
    "random_crop",
    function(random_crop, "x", *DRAWN, "y"),
    {"x": function(random_crop_backward, "dy", *DRAWN, "dx")},
    sample={
        **dict.fromkeys(("lowest", "highest", "p"), (0.0, 0.0)),
        "shape": (1, 1, 1),
        "number": 0,
    },
)
