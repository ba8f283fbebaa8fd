"""Rows of few columns, several as one row: a loop along one row ends before it has paid for itself.

A *wide row* is as many whole rows as are about ``WIDE_NUMBERS`` long. What belongs to the columns
is repeated for it. Sums along columns are made for each of its places, which do not wait for each
other, and folded at the end: always in the same order.
"""

from chainrule.kernels import blocks
from chainrule.kernels.jit import kernel

wide_row = kernel(blocks.wide_row)


@kernel
def repeat(vector, columns):
    """Repeat the first numbers of a vector up to its end."""
    for j in range(columns, vector.size):
        vector[j] = vector[j - columns]


@kernel
def fold(vector, columns):
    """Add all numbers to the first ones, each to that of its column."""
    for begin in range(columns, vector.size, columns):
        for j in range(columns):
            vector[j] += vector[begin + j]
