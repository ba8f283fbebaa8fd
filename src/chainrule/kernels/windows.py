"""The windows that slide over images: their lengths, and how many are computed at a time.

An image is ``(height, width, channels)``, channels last. Plain functions, so that plans can reserve
memory by them; kernels compile them.
"""

from typing import NamedTuple

# What a term takes in a tile of one vector, and of two: with one, a multiply-add waits for the one
# before it (Sapphire Rapids: 110 instead of 150 GFLOP/s).
ONE_VECTOR, TWO_VECTORS = 11, 16

PLACE_BYTES, LINE_BYTES = 8, 64  # of an item of a table, and of a line of the cache


class Windows(NamedTuple):
    """The lengths of images and of their windows, of which there are ``rows`` times ``columns``.

    ``top`` and ``left`` are the padding before an image; what a window needs behind an image is
    padding, too.
    """

    height: int
    width: int
    channels: int
    rows: int
    columns: int
    out_channels: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    top: int
    left: int
    groups: int


def padded(windows):
    """Return the height and width of a padded image."""
    w = windows
    height = (w.rows - 1) * w.stride_height + (w.kernel_height - 1) * w.dilation_height + 1
    width = (w.columns - 1) * w.stride_width + (w.kernel_width - 1) * w.dilation_width + 1
    return max(height, w.top + w.height), max(width, w.left + w.width)


def pieces_of(windows):
    """Return of how many pieces a window consists that lie in one, and how long they are."""
    w = windows
    if w.groups == 1 and w.dilation_width == 1:
        return w.kernel_height, w.kernel_width * w.channels
    return w.kernel_height * w.kernel_width, w.channels // w.groups


def block_of(windows, most):
    """Return of how many images, and how many rows of windows, some ``most`` windows are.

    There are either several images or a part of the rows.
    """
    count = windows.rows * windows.columns
    if count <= most:
        return most // count, windows.rows
    rows = max(1, most // windows.columns)
    blocks = (windows.rows + rows - 1) // rows
    return 1, (windows.rows + blocks - 1) // blocks


def joined(windows, lanes, most):
    """Return how many neighbouring windows are computed as one, with the outputs of all.

    With few output channels, most lanes of a vector would be empty. A wider window, with zeros in
    its weight where an output does not see an element, has the outputs of several. ``lanes`` are
    those of a vector, and ``most`` those of a tile.
    """
    w = windows
    best, least = 1, 0
    if w.groups > 1 or w.dilation_width > 1:
        return best
    for count in range(1, most // w.out_channels + 1):
        if w.columns % count == 0:
            parts = ONE_VECTOR if count * w.out_channels <= lanes else TWO_VECTORS
            cost = (w.kernel_width + (count - 1) * w.stride_width) * parts
            if count == 1 or cost * best < least * count:
                best, least = count, cost
    return best


def widened(windows, count):
    """Return the windows of which each is ``count`` neighbouring ones."""
    w = windows
    return Windows(
        w.height, w.width, w.channels, w.rows, w.columns // count, w.out_channels * count,
        w.kernel_height, w.kernel_width + (count - 1) * w.stride_width, w.stride_height,
        w.stride_width * count, w.dilation_height, w.dilation_width, w.top, w.left, w.groups,
    )  # fmt: skip
