"""Images shifted, cropped, padded and flipped: all are a copy of pixels in another order."""

import numpy as np


def copy_shifted(source, row, row_step, column, column_step, target):
    """``target[a, b] = source[row + row_step * a, column + column_step * b]``; 0 outside of it.

    Steps are 1, or -1 backward.
    """
    rows = row + row_step * np.arange(target.shape[0])
    columns = column + column_step * np.arange(target.shape[1])
    own = [(i >= 0) & (i < n) for i, n in zip((rows, columns), source.shape, strict=False)]
    target[...] = 0
    target[np.ix_(*own)] = source[np.ix_(rows[own[0]], columns[own[1]])]
