"""Average-pooling: the mean of each window, channel by channel."""

from chainrule.reference.pooling import pairs, windows


def _count(at, shape, window, count_include_pad):
    """Return how many elements of the images, or of these with their padding, a window has."""
    count = 1
    for place, length, kernel_size, stride, padding in zip(
        at, shape[1:], *pairs(window)[:3], strict=False
    ):
        first = place * stride - padding
        stop = first + kernel_size
        if count_include_pad:
            count *= min(stop, length + padding) - first
        else:
            count *= min(stop, length) - max(first, 0)
    return count


def avg_pool(x, window, count_include_pad, y):
    """Write each window's sum, divided by how many elements it has: with the padding, or without.

    What is behind the padding never counts.
    """
    for (a, b), place in windows(x, window, y):
        count = _count((a, b), x.shape, window, count_include_pad)
        y[:, a, b] = x[place].sum(axis=(1, 2)) / count


def avg_pool_backward(dy, window, count_include_pad, adds, dx):
    """Give each element of a window its share of dy."""
    if not adds:
        dx[...] = 0
    for (a, b), place in windows(dx, window, dy):
        count = _count((a, b), dx.shape, window, count_include_pad)
        dx[place] += dy[:, a : a + 1, b : b + 1] / count
