"""Matrices reduced to a size that a heat map can show."""

import numpy as np

from chainrule.explain.step import Float64

MOST_COLUMNS = 96  # cells side by side that a screen can show


def block_shape(rows: int, columns: int, most_cells: int) -> tuple[int, int]:
    """Return the smallest blocks that leave at most so many cells of a matrix.

    The side with more cells is reduced first, so that the result is as square as possible.

    >>> block_shape(10, 64, 900), block_shape(64, 64, 900), block_shape(1, 4096, 900)
    ((1, 1), (2, 3), (1, 43))
    """
    down = across = 1
    while True:
        cells = -(-rows // down), -(-columns // across)
        if cells[0] * cells[1] <= most_cells and max(cells) <= MOST_COLUMNS:
            return down, across
        if cells[0] > cells[1]:
            down += 1
        else:
            across += 1


def shrink(matrix: Float64, block: tuple[int, int]) -> Float64:
    """Return the entry of largest size in each block, with its sign.

    A mean would let large entries of opposite signs vanish.

    >>> shrink(np.array([[1.0, -3.0, 0.5], [2.0, 0.0, 0.0]]), (2, 2))
    array([[-3. ,  0.5]])
    """
    (rows, columns), (down, across) = matrix.shape, block
    padded = np.pad(matrix, ((0, -rows % down), (0, -columns % across)))
    blocks = padded.reshape(len(padded) // down, down, -1, across).swapaxes(1, 2)
    cells = blocks.reshape(*blocks.shape[:2], -1)
    largest = np.abs(cells).argmax(axis=-1, keepdims=True)
    return np.take_along_axis(cells, largest, axis=-1)[..., 0]
