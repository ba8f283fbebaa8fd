"""How large the blocks are that a product is cut into, by the sizes of this machine's caches.

Without Numba, so that plans can reserve memory for them.
"""

import os

DEFAULT_CACHE_BYTES = 1 << 20, 8 << 20

# Elements whose squares are summed together: a norm's blocks do not depend on who sums them.
NORM_BLOCK = 4096


def _cache_bytes(level: int) -> int:
    """Ask the system for the size of the second- or third-level cache."""
    try:
        size = os.sysconf(f"SC_LEVEL{level}_CACHE_SIZE")
    except (AttributeError, OSError, ValueError):  # not every system has this name
        size = 0
    return size if size > 0 else DEFAULT_CACHE_BYTES[level - 2]


L2_BYTES, L3_BYTES = _cache_bytes(2), _cache_bytes(3)

# A right factor up to this size is read where it lies; a larger one is copied, block by block.
DIRECT_BYTES = L2_BYTES // 2

# Of a larger one, this many terms of the sums at a time, in this much of the shared cache.
# Blocks of 2 KiB a row let a tile's left factor stay in first-level caches of 32 KiB.
DEPTH_BYTES = 2048
BLOCK_BYTES = max(L2_BYTES // 2, L3_BYTES // 8)

# The most rows of a tile; and bytes between its rows, lest all fall into one set of the cache.
MOST_ROWS = 8
PADDING_BYTES = 64
LEFT_BYTES = MOST_ROWS * (DEPTH_BYTES + PADDING_BYTES)


# The narrow tail of a right factor's rows is at most a quarter of a vector, see gemm.py.
NARROW_BYTES = 16

# The workspace that a product by a large right factor needs for its blocks.
PACKED_BYTES = LEFT_BYTES + BLOCK_BYTES


def is_direct(k: int, n: int, itemsize: int) -> bool:
    """Tell whether a right factor of k rows and n columns is read where it lies."""
    return k * n * itemsize <= DIRECT_BYTES
