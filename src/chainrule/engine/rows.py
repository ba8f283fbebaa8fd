"""The rows of X as bytes, with codes for dtype and stride.

Compiled code is made for one type of array, whatever dtype and layout X has.
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from chainrule.utils.arrays import GATHERED

BYTE = np.dtype(np.uint8)
CODES = {dtype: ord(dtype.char) for dtype in GATHERED}

# The memory from the first to the last row, the code of its dtype, and the offset of row 0 and the
# stride between rows, in bytes.
Rows = tuple[NDArray[np.uint8], int, int, int]


def as_rows(array: NDArray[Any]) -> Rows:
    """Return the rows of an array that ``chainrule.utils.arrays.batch_array`` has validated."""
    stride, code = array.strides[0], CODES[array.dtype]
    if array.flags.c_contiguous:
        return np.ndarray(array.nbytes, BYTE, array), code, 0, stride
    between = stride * (len(array) - 1)
    first, lowest = (0, array[0]) if stride >= 0 else (-between, array[-1])
    lowest = lowest.reshape(-1).view(BYTE)
    return as_strided(lowest, (abs(between) + lowest.size,), (1,)), code, first, stride
