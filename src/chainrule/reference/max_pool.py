"""Max-pooling: the largest number of each window, channel by channel."""

from chainrule.reference.pooling import is_largest, windows


def max_pool(x, window, y):
    """Write each window's largest number."""
    for (a, b), place in windows(x, window, y):
        y[:, a, b] = x[place].max(axis=(1, 2))


def max_pool_backward(dy, x, window, adds, dx):
    """Give each dy to its window's largest number."""
    if not adds:
        dx[...] = 0
    for (a, b), place in windows(x, window, dy):
        dx[place] += is_largest(x[place]) * dy[:, a : a + 1, b : b + 1]
