"""Products of C-contiguous matrices, cut into register tiles.

Small factors are read where they lie. Of larger ones, blocks are first copied together, so that
they stay in cache and rows do not displace each other (Goto and van de Geijn, *Anatomy of
High-Performance Matrix Multiplication*, 2008). Each element of a product is one sum in one order,
whatever tile it falls into and however many rows there are: its bits do not depend on them.
"""

import numpy as np

from chainrule.kernels import blocks
from chainrule.kernels.copy import copy_block
from chainrule.kernels.dot import DOT_ROWS, dot
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.tile import ROWS_1, ROWS_2, ROWS_3, ROWS_4, TILE_VECTORS, tile
from chainrule.kernels.transpose import transpose_block
from chainrule.kernels.vectors import VECTOR_BYTES

LEFT_BYTES, BLOCK_BYTES = blocks.LEFT_BYTES, blocks.BLOCK_BYTES
DEPTH_BYTES, PADDING_BYTES = blocks.DEPTH_BYTES, blocks.PADDING_BYTES

# Numbers, not literals: each combination of literals would be compiled for by itself.
ADJACENT = np.int64(1)  # the stride between neighbours
NO_STRIDE = np.int64(0)  # the same for all
NOWHERE = np.int64(0)  # the address of what is not there

is_direct = kernel(blocks.is_direct)


@kernel
def _address(array):
    """Return where the array begins: of one type, else each mixture would be compiled for."""
    return np.int64(array.ctypes.data)


@kernel
def multiply(a, b, bias, floor, scratch, c):
    m, k, n, size = c.shape[0], b.shape[0], b.shape[1], c.itemsize
    a_at, bias_at = _address(a), _address(bias) if bias.size > 0 else NOWHERE
    if _is_narrow(k, n, size):
        b_transposed = scratch[: k * n].reshape((n, k))
        transpose_block(floor, size, _address(b), n, _address(b_transposed), k, k, n)
        _narrow(a, b_transposed, bias, floor, c)
    elif is_direct(k, n, size):
        _direct(size, a_at, k, ADJACENT, _address(b), n, bias_at, floor, _address(c), m, n, k)
    else:
        _packed(a_at, k, ADJACENT, _address(b), n, ADJACENT, bias_at, floor, scratch, c, k)


@kernel
def multiply_transposed(a, first, b, scratch, c):
    k, columns = a.shape
    m, n, size = c.shape[0], c.shape[1], c.itemsize
    a_at, no_floor = _address(a) + first * size, c.dtype.type(-np.inf)
    if _is_narrow(columns, n, size):  # the transpose of the result has full rows
        c_transposed = _address(scratch)
        _direct(
            size, _address(b), ADJACENT, n, a_at, columns, NOWHERE, no_floor, c_transposed, n, m, k
        )
        transpose_block(no_floor, size, c_transposed, m, _address(c), n, n, m)
    elif is_direct(k, n, size):
        _direct(
            size, a_at, ADJACENT, columns, _address(b), n, NOWHERE, no_floor, _address(c), m, n, k
        )
    else:
        _packed(a_at, ADJACENT, columns, _address(b), n, ADJACENT, NOWHERE, no_floor, scratch, c, k)


@kernel
def multiply_by_transposed(a, b, scratch, c):
    m, k, n, size = c.shape[0], a.shape[1], c.shape[1], c.itemsize
    no_floor = c.dtype.type(-np.inf)
    if _is_narrow(k, n, size):
        _narrow(a, b, scratch[:0], no_floor, c)
    elif is_direct(k, n, size):
        b_transposed = _address(scratch)
        transpose_block(no_floor, size, _address(b), k, b_transposed, n, n, k)
        _direct(
            size, _address(a), k, ADJACENT, b_transposed, n, NOWHERE, no_floor, _address(c), m, n, k
        )
    else:
        _packed(
            _address(a), k, ADJACENT, _address(b), ADJACENT, k, NOWHERE, no_floor, scratch, c, k
        )


@kernel
def _is_narrow(k, n, size):
    """Tell whether sums of k terms for n columns are quicker with vectors along the sums.

    Along the columns, each term takes a vector, however few of its lanes are used; along the sums,
    each column takes its share of the terms, and about eight vectors' time to add up lanes.
    """
    lanes = VECTOR_BYTES // size
    return is_direct(k, n, size) and n * (k + 8 * lanes) <= lanes * k


@kernel
def _narrow(a, b_transposed, bias, floor, c):
    """``c = max(a @ b_transposed.T + bias, floor)``, sum by sum."""
    m, k, n, size = a.shape[0], a.shape[1], c.shape[1], c.itemsize
    for j in range(n):
        b_j = _address(b_transposed) + j * k * size
        start = bias[j] if bias.size > 0 else c.dtype.type(0)
        i = 0
        while i < m:
            a_i, c_ij = _address(a) + i * k * size, _address(c) + (i * n + j) * size
            if m - i >= DOT_ROWS:
                dot(DOT_ROWS, floor, a_i, k, b_j, start, c_ij, n, k)
                i += DOT_ROWS
            else:
                dot(1, floor, a_i, k, b_j, start, c_ij, n, k)
                i += 1


@kernel
def _direct(size, a, a_row, a_k, b, b_row, bias, floor, c, m, n, k):
    """``c = max(a @ b + bias, floor)``, with all given by addresses; rows of c are n long."""
    block = TILE_VECTORS * VECTOR_BYTES // size
    for j in range(0, n, block):
        columns = min(block, n - j)
        b_j, bias_j = b + j * size, bias + j * size if bias != NOWHERE else NOWHERE
        i = 0
        while i < m:
            rows = _tile_rows(m - i)
            a_i, c_ij = a + i * a_row * size, c + (i * n + j) * size
            _tile(
                rows, floor, a_i, a_row, a_k, b_j, b_row, bias_j, NO_STRIDE, c_ij, n, k, columns
            )  # fmt: skip
            i += rows


@kernel
def _packed(a, a_row, a_k, b, b_k, b_column, bias, floor, scratch, c, k):
    """Do as ``_direct``, block by block; ``b_k`` and ``b_column`` are the strides of b."""
    like, m, n, size = floor, c.shape[0], c.shape[1], c.itemsize
    no_floor = c.dtype.type(-np.inf)
    block = TILE_VECTORS * VECTOR_BYTES // size
    most_columns = BLOCK_BYTES // DEPTH_BYTES // block * block
    cuts = (k * size + DEPTH_BYTES - 1) // DEPTH_BYTES
    most_depth = (k + cuts - 1) // cuts
    left = _address(scratch)
    right = left + LEFT_BYTES
    for j_block in range(0, n, most_columns):
        j_end = min(n, j_block + most_columns)
        for k_block in range(0, k, most_depth):
            depth = min(most_depth, k - k_block)
            is_first, is_last = k_block == 0, k_block + depth == k
            source = b + (k_block * b_k + j_block * b_column) * size
            _pack(like, size, source, b_k, b_column, depth, j_end - j_block, right)
            i = 0
            while i < m:
                rows = _tile_rows(m - i)
                source = a + (i * a_row + k_block * a_k) * size
                if a_k == 1:
                    left_row, left_k = depth + PADDING_BYTES // size, ADJACENT
                    copy_block(like, source, a_row, left, left_row, rows, depth)
                else:
                    left_row, left_k = ADJACENT, np.int64(ROWS_1)
                    copy_block(like, source, a_k, left, left_k, depth, rows)
                for j in range(j_block, j_end, block):
                    right_j = right + (j - j_block) * depth * size
                    c_ij = _address(c) + (i * n + j) * size
                    start, start_row = c_ij, n
                    if is_first:
                        start, start_row = bias + j * size if bias != NOWHERE else NOWHERE, 0
                    _tile(
                        rows, floor if is_last else no_floor, left, left_row, left_k,
                        right_j, block, start, start_row, c_ij, n, depth, min(block, n - j),
                    )  # fmt: skip
                i += rows


@kernel
def _pack(like, size, b, b_k, b_column, depth, columns, packed):
    """Copy a block of b: panels as wide as a tile one after the other, each row by row."""
    block = TILE_VECTORS * VECTOR_BYTES // size
    for j in range(0, columns, block):
        panel = packed + j * depth * size
        here = min(block, columns - j)
        if b_column == 1:
            copy_block(like, b + j * size, b_k, panel, block, depth, here)
        else:
            transpose_block(
                like, size, b + j * b_column * size, b_column, panel, block, here, depth
            )


@kernel
def _tile_rows(left):
    """Return the rows of the next tile, of ``left`` rows that are to do."""
    if left >= ROWS_1:
        return ROWS_1
    if left >= ROWS_2:
        return ROWS_2
    if left >= ROWS_3:
        return ROWS_3
    return ROWS_4 if left >= ROWS_4 else 1


@kernel
def _tile(rows, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns):
    """Choose the tile that is compiled for so many rows."""
    if rows == ROWS_1:
        tile(ROWS_1, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)
    elif rows == ROWS_2:
        tile(ROWS_2, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)
    elif rows == ROWS_3:
        tile(ROWS_3, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)
    elif rows == ROWS_4:
        tile(ROWS_4, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)
    else:
        tile(1, floor, a, a_row, a_k, b, b_row, start, start_row, c, c_row, depth, columns)


if JIT_DISABLED:  # a tile exists only as machine code

    def multiply(a, b, bias, floor, scratch, c):
        np.matmul(a, b, out=c)
        if bias.size > 0:
            c += bias
        np.maximum(c, floor, out=c)

    def multiply_transposed(a, first, b, scratch, c):
        np.matmul(a[:, first : first + c.shape[0]].T, b, out=c)

    def multiply_by_transposed(a, b, scratch, c):
        np.matmul(a, b.T, out=c)
