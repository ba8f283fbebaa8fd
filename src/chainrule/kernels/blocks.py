"""How large the blocks are that a product is cut into, by the sizes of this machine's caches.

Without Numba, so that plans can reserve memory for them.
"""

import os

DEFAULT_CACHE_BYTES = 1 << 20, 8 << 20

# Elements whose squares are summed together: a norm's blocks do not depend on who sums them.
NORM_BLOCK = 4096


def _cache_bytes(name: str, default: int) -> int:
    """Ask the system for the size of a cache."""
    try:
        size = os.sysconf(f"SC_{name}_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system has this name
        size = 0
    return size if size > 0 else default


L1_BYTES = _cache_bytes("LEVEL1_DCACHE", 32 << 10)
L2_BYTES = _cache_bytes("LEVEL2_CACHE", 1 << 20)

# A right factor up to this size is small: its left factor is read where it lies, unless its rows
# fall into few sets of the cache.
DIRECT_BYTES = L2_BYTES // 2

# So many terms of the sums at a time: then what a column of tiles takes of the right factor, up to
# 128 bytes a row, is two thirds of the first-level cache.
PANEL_BYTES = 128
MOST_DEPTH = L1_BYTES * 2 // 3 // PANEL_BYTES

# The most rows of a tile; and bytes between its rows, lest all fall into one set of the cache.
MOST_ROWS = 8
PADDING_BYTES = 64

# The copied blocks: of the left factor in the second-level cache, of the right one in the first.
# The left one holds a tile's rows at least, in float64 too, however small that cache is.
LEFT_BYTES = max(L2_BYTES // 6, MOST_ROWS * (MOST_DEPTH * 8 + PADDING_BYTES))
RIGHT_BYTES = MOST_DEPTH * PANEL_BYTES

# The numbers of several narrow rows that loops take as one, see narrow.py.
WIDE_NUMBERS = 128

# The narrow tail of a right factor's rows is at most a quarter of a vector, see gemm.py.
NARROW_BYTES = 16

# The most workspace that a product needs.
PACKED_BYTES = LEFT_BYTES + RIGHT_BYTES


def is_direct(k: int, n: int, itemsize: int) -> bool:
    """Tell whether a right factor of k rows and n columns is small."""
    return k * n * itemsize <= DIRECT_BYTES


def packs_left(k: int, n: int, columns: int, itemsize: int) -> bool:
    """Tell whether the left factor is copied, which lies in a matrix of so many columns."""
    row_bytes = columns * itemsize
    return k * n * itemsize > DIRECT_BYTES or (row_bytes % 1024 == 0 and n * itemsize >= 1024)


def wide_row(columns: int) -> int:
    """Return the numbers in as many whole rows as loops take as one.

    >>> wide_row(16), wide_row(100), wide_row(1000)
    (128, 100, 1000)
    """
    return max(WIDE_NUMBERS // columns, 1) * columns
