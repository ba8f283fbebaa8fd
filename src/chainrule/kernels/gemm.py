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
from chainrule.kernels.native import address
from chainrule.kernels.routine import routine
from chainrule.kernels.tile import (
    PART_BYTES,
    PARTS,
    ROW_VECTORS,
    ROWS_1,
    TILE_VECTORS,
    tile,
    tile_rows,
)
from chainrule.kernels.transpose import transpose_block
from chainrule.kernels.vectors import VECTOR_BYTES, size_of

L1_BYTES, L2_BYTES = blocks.L1_BYTES, blocks.L2_BYTES
MOST_DEPTH, PADDING_BYTES = blocks.MOST_DEPTH, blocks.PADDING_BYTES
LEFT_BYTES, RIGHT_BYTES = blocks.LEFT_BYTES, blocks.RIGHT_BYTES

# From so many rows on, copying the right factor pays: a large one, and a small one.
LEAST_ROWS, MANY_ROWS = np.int64(16), np.int64(96)

# Numbers, not literals: each combination of literals would be compiled for by itself.
INFINITY = np.float32(np.inf)
ADJACENT = np.int64(1)  # the stride between neighbours
NO_STRIDE = np.int64(0)  # the same for all
NOTHING = NOWHERE = np.int64(0)  # NOWHERE: the address of what is not there
NEITHER, LEFT, RIGHT = np.int64(0), np.int64(1), np.int64(2)  # which factor is transposed

is_direct, packs_left = kernel(blocks.is_direct), kernel(blocks.packs_left)


@kernel(inline=True)
def multiply(a, b, bias, floor, scratch, c):
    m, k, n = c.shape[0], b.shape[0], b.shape[1]
    start = address(bias) if bias.size > 0 else NOWHERE
    start_row = n if bias.size > n else NO_STRIDE
    _product(
        NEITHER, address(a), k, address(b), start, start_row, floor, address(scratch), address(c),
        m, k, n,
    )  # fmt: skip


@kernel(inline=True)
def multiply_transposed(a, first, b, adds, scratch, c):
    k, columns = a.shape
    m, n, no_floor = c.shape[0], c.shape[1], c.dtype.type(-np.inf)
    a_at, c_at = address(a) + first * size_of(no_floor), address(c)
    start = c_at if adds else NOWHERE
    _product(
        LEFT, a_at, columns, address(b), start, n, no_floor, address(scratch), c_at, m, k, n
    )  # fmt: skip


@kernel(inline=True)
def multiply_by_transposed(a, b, adds, scratch, c):
    m, k, n, no_floor = c.shape[0], a.shape[1], c.shape[1], c.dtype.type(-np.inf)
    start = address(c) if adds else NOWHERE
    _product(
        RIGHT, address(a), k, address(b), start, n, no_floor, address(scratch), address(c), m, k, n
    )  # fmt: skip


@routine
def _product(transposed, a, a_columns, b, start, start_row, floor, scratch, c, m, k, n):
    """``c = max(start + a @ b, floor)``, with arrays given by addresses.

    ``transposed`` says which factor is given as its transpose, and ``a_columns`` how many columns
    the matrix has that a lies in.
    """
    size = size_of(floor)
    a_row, a_k, b_k, b_column = a_columns, ADJACENT, n, ADJACENT
    tail = _narrow_tail(k, n, size)
    if transposed == LEFT:
        a_row, a_k = ADJACENT, a_columns
        tail = _transposed_tail(a_columns, k, n, size) if start == NOWHERE else NOTHING
    elif transposed == RIGHT:
        b_k, b_column = ADJACENT, k
    if not is_direct(k, n, size) and (transposed != LEFT or tail < n):
        tail = NOTHING
    whole = n - tail
    least_rows = MANY_ROWS if is_direct(k, n, size) else LEAST_ROWS
    is_packed = m >= least_rows and k * whole * size > L1_BYTES // 2
    if (is_packed or transposed == RIGHT) and k > 0:
        _packed(
            packs_left(k, n, a_columns, size), a, a_row, a_k, b, b_k, b_column, start, start_row,
            floor, scratch, c, n, m, whole, k,
        )  # fmt: skip
    else:
        _direct(a, a_row, a_k, b, n, start, start_row, floor, c, n, m, whole, k)
    if tail == 0:
        return
    b_tail, c_tail = b + whole * b_column * size, c + whole * size
    if transposed == LEFT:
        _direct(b_tail, ADJACENT, n, a, a_columns, NOWHERE, n, floor, scratch, m, tail, m, k)
        transpose_block(floor, size, scratch, m, c_tail, n, tail, m)
        return
    if transposed == NEITHER:
        transpose_block(floor, size, b_tail, n, scratch, k, k, tail)
        b_tail = scratch
    start_tail = start + whole * size if start != NOWHERE else NOWHERE
    _narrow(a, b_tail, start_tail, start_row, floor, c_tail, n, m, tail, k)


@kernel
def _narrow_tail(k, n, size):
    """Return of how many of the last columns the sums are quicker with vectors along them.

    Vectors along the columns take a part of a tile for each term, however few lanes they use.
    Vectors along the sums take a share of the terms for each column, and a while to add up lanes.
    """
    lanes = VECTOR_BYTES // size
    tail = n % lanes
    return tail if 4 * tail <= lanes and tail * lanes <= k else 0


@kernel
def _transposed_tail(m, k, n, size):
    """Return how many of the last columns are quicker as rows of the transpose, of m columns.

    Compares how many parts of tiles both take, and adds what the transpose itself takes.
    """
    lanes = PART_BYTES // size
    tail = n % (VECTOR_BYTES // size)
    parts, transposed_parts = m * ((tail + lanes - 1) // lanes), tail * ((m + lanes - 1) // lanes)
    is_quicker = transposed_parts * k + tail * m < parts * k
    return tail if is_quicker and m * size >= VECTOR_BYTES and is_direct(m, tail, size) else 0


@kernel
def _narrow(a, b_transposed, start, start_row, floor, c, c_row, m, n, k):
    """Do as ``_direct`` for a few columns, sum by sum."""
    size = size_of(floor)
    i = 0
    while i < m:
        rows = DOT_ROWS if m - i >= DOT_ROWS else 1
        for j in range(n):
            a_i, c_ij = a + i * k * size, c + (i * c_row + j) * size
            b_j = b_transposed + j * k * size
            start_ij = start + (i * start_row + j) * size if start != NOWHERE else NOWHERE
            if rows == DOT_ROWS:
                dot(DOT_ROWS, floor, a_i, k, b_j, start_ij, start_row, c_ij, c_row, k)
            else:
                dot(1, floor, a_i, k, b_j, start_ij, start_row, c_ij, c_row, k)
        i += rows


@kernel
def _direct(a, a_row, a_k, b, b_row, start, start_row, floor, c, c_row, m, n, k):
    """``c = max(start + a @ b, floor)``, with all given by addresses."""
    size = size_of(floor)
    lanes = VECTOR_BYTES // size
    j = 0
    while j < n:
        columns = min(n - j, TILE_VECTORS * lanes)
        if m == 1 and n - j >= ROW_VECTORS * lanes:
            columns = ROW_VECTORS * lanes
        start_j = start + j * size if start != NOWHERE else NOWHERE
        _tiles(
            a, a_row, a_row, a_k, b + j * size, b_row, start_j, start_row, floor, c + j * size,
            c_row, m, columns, k, NOWHERE, NO_STRIDE, NO_STRIDE, m,
        )  # fmt: skip
        j += columns


@kernel
def _packed(
    has_left, a, a_row, a_k, b, b_k, b_column, start, start_row, floor, scratch, c, c_row,
    m, n, k,
):  # fmt: skip
    """Do as ``_direct``, block by block; ``b_k`` and ``b_column`` are the strides of b.

    Panels of the right factor are copied, and of the left one blocks, if ``has_left``.
    """
    like, size, no_floor = floor, size_of(floor), floor - INFINITY
    block = TILE_VECTORS * VECTOR_BYTES // size
    cuts = (k + MOST_DEPTH - 1) // MOST_DEPTH
    most_depth = (k + cuts - 1) // cuts
    right, left, most_rows = scratch, scratch + RIGHT_BYTES, m
    # While it computes, a tile asks for a few rows of the next panel or, if transposed, for one.
    next_row, next_step, next_rows = b_k, PARTS * b_k, most_depth // PARTS * ROWS_1
    if b_column != 1:
        next_row, next_step, next_rows = block, b_column, block * ROWS_1
    if has_left:
        most_tiles = LEFT_BYTES // (most_depth * size + PADDING_BYTES) // ROWS_1
        tiles = (m + ROWS_1 - 1) // ROWS_1
        cuts = (tiles + most_tiles - 1) // most_tiles
        most_rows = (tiles + cuts - 1) // cuts * ROWS_1
    else:  # all is in cache, and next_b stays NOWHERE
        next_step, next_rows = NO_STRIDE, m
    for k_block in range(0, k, most_depth):
        depth = min(most_depth, k - k_block)
        floor_here = floor if k_block + depth == k else no_floor
        for i_block in range(0, m, most_rows):
            rows = min(most_rows, m - i_block)
            a_block = a + (i_block * a_row + k_block * a_k) * size
            left_step, left_row, left_k = a_row, a_row, a_k
            if has_left:
                left_step, left_row, left_k = _pack_left(
                    like, size, a_block, a_row, a_k, rows, depth, left
                )
                a_block = left
            for j in range(0, n, block):
                columns = min(block, n - j)
                source = b + (k_block * b_k + j * b_column) * size
                _pack(like, size, source, b_k, b_column, depth, columns, right)
                c_j = c + (i_block * c_row + j) * size
                start_j, row = c_j, c_row
                if k_block == 0:
                    offset = (i_block * start_row + j) * size
                    start_j = start + offset if start != NOWHERE else NOWHERE
                    row = start_row
                next_b = NOWHERE
                if has_left:
                    next_j = j + block if j + block < n else NOTHING
                    next_b = b + (k_block * b_k + next_j * b_column) * size
                _tiles(
                    a_block, left_step, left_row, left_k, right, block, start_j, row, floor_here,
                    c_j, c_row, rows, columns, depth, next_b, next_row, next_step, next_rows,
                )  # fmt: skip


@kernel
def _pack_left(like, size, a, a_row, a_k, rows, depth, packed):
    """Copy a block of a; return how far apart its rows, those of a tile, and its columns lie."""
    height = np.int64(ROWS_1)
    if a_k == 1:
        row = depth + PADDING_BYTES // size
        copy_block(like, a, a_row, packed, row, rows, depth)
        return row, row, ADJACENT
    # What a tile of a transpose reads together lies together.
    row = depth + PADDING_BYTES // size // height
    whole = rows // height
    for k in range(depth):
        source, target = a + k * a_k * size, packed + k * height * size
        copy_block(like, source, height, target, height * row, whole, height)
    rest = rows - whole * height
    if rest > 0:
        source, target = a + whole * height * size, packed + whole * height * row * size
        copy_block(like, source, a_k, target, height, depth, rest)
    return row, ADJACENT, height


@kernel
def _pack(like, size, b, b_k, b_column, depth, columns, packed):
    """Copy what a column of tiles takes of b, row by row."""
    block = TILE_VECTORS * VECTOR_BYTES // size
    if b_column == 1:
        copy_block(like, b, b_k, packed, block, depth, columns)
    else:
        transpose_block(like, size, b, b_column, packed, block, columns, depth)


@kernel
def _tiles(
    a, a_step, a_row, a_k, b, b_row, start, start_row, floor, c, c_row, m, columns, depth,
    next_b, next_row, next_step, next_rows,
):  # fmt: skip
    """Do as ``_direct`` for the columns of one tile.

    Of ``a``, the rows of a whole tile lie ``a_row`` elements apart, and its tiles ``a_step`` for
    each of their rows. Unless ``next_b`` is NOWHERE, the tiles of so many ``next_rows`` each ask
    for a piece of it, ``next_step`` elements apart.
    """
    size = size_of(floor)
    i = 0
    while i < m:
        rows = tile_rows(m - i)
        start_i = start + i * start_row * size if start != NOWHERE else NOWHERE
        within = i % ROWS_1
        a_i = a + ((i - within) * a_step + within * a_row) * size
        soon, soon_row = b, b_row  # in cache
        if i < next_rows:
            soon, soon_row = next_b, next_row
            next_b += next_step * size
        tile(
            rows, floor, a_i, a_row, a_k, b, b_row, start_i, start_row,
            c + i * c_row * size, c_row, depth, columns, soon, soon_row,
        )  # fmt: skip
        i += rows


if JIT_DISABLED:  # a tile exists only as machine code

    def multiply(a, b, bias, floor, scratch, c):
        product = a @ b
        c[...] = product + bias.reshape(-1, c.shape[1]) if bias.size > 0 else product
        np.maximum(c, floor, out=c)

    def multiply_transposed(a, first, b, adds, scratch, c):
        product = a[:, first : first + c.shape[0]].T @ b
        c[...] = c + product if adds else product

    def multiply_by_transposed(a, b, adds, scratch, c):
        c[...] = c + a @ b.T if adds else a @ b.T
