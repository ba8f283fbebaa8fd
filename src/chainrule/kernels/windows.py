"""How windows lie in images, and how many of them are computed at a time.

An image is ``(height, width, channels)``, channels last. Plain functions, so that plans can reserve
memory by them; kernels compile them.
"""

from typing import NamedTuple

# What a term takes in a tile of one vector, and of two: with one, a multiply-add waits for the one
# before it (Sapphire Rapids: 110 instead of 150 GFLOP/s).
ONE_VECTOR, TWO_VECTORS = 11, 16


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
    top: int
    left: int
    dilation_height: int
    dilation_width: int
    groups: int


class Layout(NamedTuple):
    """Where windows lie in padded images; all sizes and steps count elements.

    A window consists of ``pieces`` that lie in one, each of ``run`` elements, ``in_row`` of them
    beside each other. Some ``lines`` of windows are computed at a time, of ``images``.
    """

    images: int
    lines: int
    rows: int
    columns: int
    outputs: int
    step_y: int
    step_x: int
    pieces: int
    run: int
    in_row: int
    piece_y: int
    piece_x: int
    groups: int
    group_channels: int
    group_outputs: int
    row_size: int
    image_size: int
    height: int
    own_row: int
    inner: int


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


def lay_out(windows, count, most):
    """Return the layout of windows, of which ``count`` are one, and some ``most`` at a time.

    These are of several images, or a part of the lines of one.
    """
    w = windows
    columns = w.columns // count
    height = (w.rows - 1) * w.stride_height + (w.kernel_height - 1) * w.dilation_height + 1
    width = (w.columns - 1) * w.stride_width + (w.kernel_width - 1) * w.dilation_width + 1
    height, width = max(height, w.top + w.height), max(width, w.left + w.width)
    images, lines, row_size = 1, w.rows, width * w.channels
    if w.rows * columns <= most:
        images = most // (w.rows * columns)
    else:
        lines = max(1, most // columns)
        blocks = (w.rows + lines - 1) // lines
        lines = (w.rows + blocks - 1) // blocks
    in_row, run = w.kernel_width, w.channels // w.groups
    if w.groups == 1 and w.dilation_width == 1:
        in_row, run = 1, (w.kernel_width + (count - 1) * w.stride_width) * w.channels
    return Layout(
        images, lines, w.rows, columns, w.out_channels * count,
        w.stride_height * row_size, w.stride_width * count * w.channels,
        w.kernel_height * in_row, run, in_row,
        w.dilation_height * row_size, w.dilation_width * w.channels,
        w.groups, w.channels // w.groups, w.out_channels * count // w.groups,
        row_size, height * row_size, w.height, w.width * w.channels,
        w.top * row_size + w.left * w.channels,
    )  # fmt: skip
