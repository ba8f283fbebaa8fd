"""The encoding of the arguments of a plan's functions.

A program is a table of int64s with a row for each call: the function, its flags, and its arguments
in order. A function is compiled for the :class:`Kind` of each argument; everything else is in the
table, so that one compiled function serves every network. Without Numba, so that plans can be made
before compiled code is loaded.
"""

from enum import IntEnum
from typing import NamedTuple

HEADER = 2  # words of a row before the arguments: function and flags


class Rows(IntEnum):
    """Which rows of an array a call gets, or which number an argument is.

    After the colon: its words in the table. Lengths are those of the axes after the first one.
    """

    ALL = 0  # a whole array: base, offset, all lengths
    SLICE = 1  # the thread's rows of the batch: base, offset, bytes of a row, repeat, lengths
    BATCH = 2  # all rows of the batch: the same
    COUNTED = 3  # the number of rows in a word of the context: base, column, lengths
    CHUNK = 4  # the part for the present chunk of rows: base, offset, bytes, all lengths
    CHUNKS = 5  # the parts for all chunks, a row each: base, offset, lengths
    PARTITION = 6  # the thread's partition of a vector: base, start, units, unit, length, lengths
    PARTITION_START = 7  # the number of units before it: start, units, unit
    NUMBER = 8  # a constant: its value
    WORD = 9  # a word of the context
    POSITION = 10  # the number of elements before the slice: elements of a row


class Kind(NamedTuple):
    """The properties of an argument for which a function is compiled."""

    rows: Rows
    ndim: int = 0
    dtype: str = ""  # "" for the plan's own
    word: int = -1  # the word of the context with the number of rows, or the batch's first row
    cleared: bool = False  # whether the array is zeroed before the call
