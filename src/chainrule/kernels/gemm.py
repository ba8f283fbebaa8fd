"""Products of C-contiguous matrices, cut into register tiles.

``multiply`` and ``multiply_transposed`` differ only in how they walk their first factor.
"""

import numpy as np

from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.tile import (
    ROWS_1,
    ROWS_2,
    ROWS_3,
    ROWS_4,
    TILE_VECTORS,
    tile,
)
from chainrule.kernels.vectors import VECTOR_BYTES


@kernel
def multiply(a, b, bias, c):
    m, k = a.shape
    _tile_product(a.ctypes.data, k, 1, b, bias, c, m, k)


@kernel
def multiply_transposed(a, b, c):
    k, m = a.shape
    _tile_product(a.ctypes.data, 1, m, b, b[0, :0], c, m, k)


@kernel
def _tile_product(a, a_row, a_k, b, bias, c, m, k):
    """``c = a @ b + bias``, with ``a`` given by its address and its strides in elements."""
    like, size, n = c.dtype.type(0), c.itemsize, c.shape[1]
    block = TILE_VECTORS * VECTOR_BYTES // size
    for j in range(0, n, block):
        columns = min(block, n - j)
        b_j = b.ctypes.data + j * size
        bias_j = bias.ctypes.data + j * size if bias.size > 0 else 0
        i = 0
        while i < m:
            a_i = a + i * a_row * size
            c_ij = c.ctypes.data + (i * n + j) * size
            left = m - i
            if left >= ROWS_1:
                tile(ROWS_1, like, a_i, a_row, a_k, b_j, n, c_ij, n, k, columns, bias_j)
                i += ROWS_1
            elif left >= ROWS_2:
                tile(ROWS_2, like, a_i, a_row, a_k, b_j, n, c_ij, n, k, columns, bias_j)
                i += ROWS_2
            elif left >= ROWS_3:
                tile(ROWS_3, like, a_i, a_row, a_k, b_j, n, c_ij, n, k, columns, bias_j)
                i += ROWS_3
            elif left >= ROWS_4:
                tile(ROWS_4, like, a_i, a_row, a_k, b_j, n, c_ij, n, k, columns, bias_j)
                i += ROWS_4
            else:
                tile(1, like, a_i, a_row, a_k, b_j, n, c_ij, n, k, columns, bias_j)
                i += 1


if JIT_DISABLED:  # a tile exists only as machine code

    def multiply(a, b, bias, c):
        np.matmul(a, b, out=c)
        if bias.size > 0:
            c += bias

    def multiply_transposed(a, b, c):
        np.matmul(a.T, b, out=c)
