"""Max-pooling: the largest number of each window, channel by channel."""

import numpy as np

from chainrule.reference.pooling import is_largest, windows


def max_pool(x, window, floor, y):
    """Write each window's largest number, or the floor if that is larger."""
    for (a, b), place in windows(x, window, y):
        y[:, a, b] = np.maximum(x[place].max(axis=(1, 2)), floor)


def max_pool_backward(dy, x, window, floor, adds, dx):
    """Give each dy to its window's largest number, if that is more than a floor."""
    if not adds:
        dx[...] = 0
    for (a, b), place in windows(x, window, dy):
        chosen = is_largest(x[place])
        if floor > -np.inf:
            chosen &= x[place] > floor
        dx[place] += chosen * dy[:, a : a + 1, b : b + 1]
