"""What compiled code must know of the arguments of a plan's functions.

A program is a table of int64s, a row for each call: first the function, then its flags, then what
each of its arguments is, one after the other. What compiled code must know beforehand is an
argument's :class:`Kind`; all else stands in the table, so that one compiled function serves every
network. Without Numba, so that plans can be made before compiled code is loaded.
"""

from enum import IntEnum
from typing import NamedTuple

HEADER = 2  # words of a row before the arguments: function and flags


class Rows(IntEnum):
    """Which rows of an array a call gets, or what number an argument is.

    After a colon, the words that say so; lengths are those of the axes after the first one.
    """

    ALL = 0  # a whole array: base, offset, all lengths
    SLICE = 1  # the thread's rows of the batch: base, offset, bytes of a row, repeat, lengths
    BATCH = 2  # all rows of the batch: the same
    COUNTED = 3  # as many rows as a word of the context says: base, column, lengths
    CHUNK = 4  # what belongs to the chunk of rows at hand: base, offset, bytes, all lengths
    CHUNKS = 5  # what belongs to all chunks, a row each: base, offset, lengths
    SHARE = 6  # the thread's share of a vector: base, start, units, unit, length, lengths
    SHARE_START = 7  # how many units come before that share: start, units, unit
    NUMBER = 8  # a number of the plan's: itself
    WORD = 9  # a word of the context
    POSITION = 10  # how many numbers come before the slice: numbers of a row


class Kind(NamedTuple):
    """What compiled code knows of an argument."""

    rows: Rows
    ndim: int = 0
    dtype: str = ""  # "" for the plan's own
    word: int = -1  # of the context: how many rows there are, or which row the batch begins at
    cleared: bool = False  # whether the function finds zeros in it
