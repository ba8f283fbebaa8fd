"""Convolutions of images, channels last: windows times a weight, and the derivatives.

A weight is a matrix with a row for each element of a window, ``kernel_height * kernel_width *
channels / groups``, and a column for each output channel. Windows are read where they lie
(``indirect.py``), in images that are copied only where they are padded. The gradient by the images
goes the other way round: the products are windows, a block of them at a time, that are added up.
"""

import numpy as np

from chainrule.kernels import blocks, windows
from chainrule.kernels.copy import add_block, copy_block
from chainrule.kernels.gemm import ADJACENT, NO_STRIDE, NOWHERE
from chainrule.kernels.indirect import PANEL_BYTES, PLACE_BYTES, indirect_product
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.native import address
from chainrule.kernels.routine import routine
from chainrule.kernels.sums import add_rows
from chainrule.kernels.transpose import transpose_block
from chainrule.kernels.vectors import VECTOR_BYTES, size_of
from chainrule.kernels.views import flat, vector_at
from chainrule.kernels.windows import Windows

LINE_BYTES = 64  # of the cache

# Numbers, not literals: each combination of literals would be compiled for by itself.
PLACE = NOTHING = np.int64(0)
ONE = np.int64(1)
FORWARD, BY_WEIGHT, BY_IMAGES = np.int64(0), np.int64(1), np.int64(2)

# So many windows at a time: with fewer, to read the weight anew takes too long; with more, what the
# terms of a gradient by the weight take of dy does not stay in the first-level cache.
WINDOWS = np.int64(128)

# Of a gradient by the images, the products of some windows at a time, in half of that cache.
LEAST_PRODUCTS, PRODUCT_BYTES = np.int64(16), np.int64(blocks.L1_BYTES // 2)

joined, lay_out = kernel(windows.joined), kernel(windows.lay_out)


@kernel
def multiply_windows(x, weight, bias, window, floor, scratch, y):
    """Write each window times the weight, and the bias; at least ``floor``."""
    _convolution(
        FORWARD, floor, address(window), x.shape[0], x.shape[1], x.shape[2], x.shape[3], y.shape[1],
        y.shape[2], y.shape[3], address(x), address(weight), NOTHING, weight.shape[0],
        address(bias) if bias.size > 0 else NOWHERE, NOTHING, address(scratch), address(y),
    )  # fmt: skip


@kernel
def parameter_gradients(x, dy, window, begin, adds, scratch, d_weight, d_bias):
    """Write some rows of the gradient by the weight, from ``begin`` on: windows times dy.

    And the gradient by the bias, the sum of dy, unless it is empty: dy is in the cache anyway.
    """
    _convolution(
        BY_WEIGHT, dy.dtype.type(-np.inf), address(window), x.shape[0], x.shape[1], x.shape[2],
        x.shape[3], dy.shape[1], dy.shape[2], dy.shape[3], address(x), address(d_weight), begin,
        d_weight.shape[0], address(d_bias) if d_bias.size > 0 else NOWHERE, np.int64(adds),
        address(scratch), address(dy),
    )  # fmt: skip


@kernel
def add_windows(dy, weight, window, adds, scratch, dx):
    """Add up windows, each the weight times a pixel of dy."""
    _convolution(
        BY_IMAGES, dx.dtype.type(-np.inf), address(window), dx.shape[0], dx.shape[1], dx.shape[2],
        dx.shape[3], dy.shape[1], dy.shape[2], dy.shape[3], address(dx), address(weight), NOTHING,
        weight.shape[0], NOWHERE, np.int64(adds), address(scratch), address(dy),
    )  # fmt: skip


@routine
def _convolution(
    what, floor, window, n, height, width, channels, rows, columns, out_channels, x, weight, begin,
    weight_rows, bias, adds, scratch, y,
):  # fmt: skip
    """Do one of the three, with arrays given by addresses: what they share is compiled once."""
    v, size = vector_at(window, 9, floor), size_of(floor)
    w = Windows(
        height, width, channels, rows, columns, out_channels, int(v[0]), int(v[1]), int(v[2]),
        int(v[3]), int(v[4]), int(v[5]), int(v[6]), int(v[7]), int(v[8]),
    )  # fmt: skip
    count, most = ONE, WINDOWS
    if what == BY_IMAGES:
        most = min(max(PRODUCT_BYTES // (weight_rows * size), LEAST_PRODUCTS), WINDOWS)
    else:
        count = np.int64(joined(w, VECTOR_BYTES // size, PANEL_BYTES // size))
    layout = lay_out(w, count, most)
    if what == FORWARD:
        _forward(layout, count, floor, n, x, weight, bias, scratch, y)
    elif what == BY_WEIGHT:
        _by_weight(
            layout, count, floor, n, x, y, begin, weight_rows, adds, scratch, weight, bias
        )  # fmt: skip
    else:
        _by_images(layout, floor, n, y, weight, adds, scratch, x)


@kernel
def _forward(w, count, floor, n, x, weight, bias, scratch, y):
    size, k = size_of(floor), w.pieces * w.run
    panel = PANEL_BYTES // size
    group_size = (w.group_outputs + panel - 1) // panel * panel * k
    images = min(w.images, n)
    window_places = scratch
    piece_places = window_places + images * w.lines * w.columns * PLACE_BYTES
    start = piece_places + w.pieces * PLACE_BYTES
    packed = _aligned(start + w.outputs * size)
    images_at = packed + w.groups * group_size * size
    _write_windows(w, images, w.columns, window_places)
    _write_elements(w, NOTHING, w.pieces, w.run, piece_places)
    _pack_weight(w, count, floor, weight, packed)
    one = w.outputs // count
    if bias == NOWHERE:
        start = NOWHERE
    else:
        for i in range(count):
            copy_block(floor, bias, one, start + i * one * size, one, ONE, one)
    for first in range(0, n, images):
        here = min(images, n - first)
        source = _padded(w, floor, here, x, first, images_at)
        for row in range(0, w.rows, w.lines):
            m = here * min(w.lines, w.rows - row) * w.columns
            a = source + row * w.step_y * size
            c = y + (first * w.rows + row) * w.columns * w.outputs * size
            for g in range(w.groups):
                column = g * w.group_outputs * size
                indirect_product(
                    floor, a + g * w.group_channels * size, window_places, piece_places, w.pieces,
                    w.run, ADJACENT, packed + g * group_size * size, panel, k * panel,
                    start + column if start != NOWHERE else NOWHERE, NO_STRIDE, c + column,
                    w.outputs, m, w.group_outputs,
                )  # fmt: skip


@kernel
def _by_weight(w, count, floor, n, x, dy, begin, weight_rows, adds, scratch, d_weight, d_bias):
    size, joins_bias = size_of(floor), adds
    shift = w.step_x // count
    own_run = w.run - (count - 1) * shift
    end = begin + weight_rows - 1
    first, last = begin, end
    if count > 1:  # all rows of the joined windows to which these belong
        first = begin // own_run * w.run + begin % own_run
        last = end // own_run * w.run + end % own_run + w.run - own_run
    m, images = last + 1 - first if weight_rows > 0 else 0, min(w.images, n)
    element_places = scratch
    line_places = element_places + m * PLACE_BYTES
    sums = _aligned(line_places + images * w.lines * PLACE_BYTES)
    images_at = _aligned(sums + ((m + 1) * w.outputs * size if count > 1 else 0))
    c, of_bias = d_weight, d_bias
    if count > 1:
        c, of_bias, joins_bias = sums, sums + m * w.outputs * size, NOTHING
    _write_elements(w, first, m, ONE, element_places)
    _write_windows(w, images, ONE, line_places)
    has_start = count == 1 and adds != 0
    for image in range(0, n, images):
        here = min(images, n - image)
        source = _padded(w, floor, here, x, image, images_at)
        for row in range(0, w.rows, w.lines):
            lines = here * min(w.lines, w.rows - row)
            for column in range(0, w.columns, WINDOWS):
                a = source + (row * w.step_y + column * w.step_x) * size
                here_columns = min(WINDOWS, w.columns - column)
                b = dy + ((image * w.rows + row) * w.columns + column) * w.outputs * size
                for g in range(w.groups):
                    offset = g * w.group_outputs * size
                    indirect_product(
                        floor, a + g * w.group_channels * size, element_places, line_places, lines,
                        here_columns, w.step_x, b + offset, w.outputs, PANEL_BYTES // size,
                        c + offset if has_start else NOWHERE, w.outputs, c + offset, w.outputs, m,
                        w.group_outputs,
                    )  # fmt: skip
                if d_bias != NOWHERE:  # dy is in the first-level cache now
                    add_rows(floor, b, lines * here_columns, w.outputs, joins_bias, of_bias)
                has_start, joins_bias = True, ONE
    if count == 1:
        return
    one = w.outputs // count
    target = vector_at(d_weight, weight_rows * one, floor)
    if adds == 0:
        _clear(floor, d_weight, target.size)
    if d_bias != NOWHERE:
        add_rows(floor, of_bias, count, one, adds, d_bias)
    for i in range(weight_rows):
        place = (begin + i) // own_run * w.run + (begin + i) % own_run - first
        for part in range(count):
            at = sums + ((place + part * shift) * w.outputs + part * one) * size
            own = vector_at(at, one, floor)
            for j in range(one):
                target[i * one + j] += own[j]


@kernel
def _by_images(w, like, n, dy, weight, adds, scratch, dx):
    size, k, panel = size_of(like), w.pieces * w.run, PANEL_BYTES // size_of(like)
    group_size = (k + panel - 1) // panel * panel * w.group_outputs
    images, own_size = min(w.images, n), w.height * w.own_row
    pixels = images * w.lines * w.columns
    pixel_places = scratch
    piece_places = pixel_places + pixels * PLACE_BYTES
    no_place = piece_places + w.pieces * PLACE_BYTES
    packed = _aligned(no_place + PLACE_BYTES)
    products = packed + w.groups * group_size * size
    images_at = _aligned(products + pixels * k * size)
    table = vector_at(pixel_places, pixels, PLACE)
    for i in range(pixels):
        table[i] = i * w.outputs
    vector_at(no_place, ONE, PLACE)[0] = 0
    _write_elements(w, NOTHING, w.pieces, w.run, piece_places)
    for g in range(w.groups):
        for j in range(0, k, panel):
            target = packed + (g * group_size + j * w.group_outputs) * size
            source = weight + (j * w.outputs + g * w.group_outputs) * size
            here = min(panel, k - j)
            transpose_block(
                like, size, source, w.outputs, target, panel, here, w.group_outputs
            )  # fmt: skip
    for first in range(0, n, images):
        here = min(images, n - first)
        result = dx + first * own_size * size
        target = images_at if w.image_size != own_size else result
        if w.image_size != own_size or adds == 0:
            _clear(like, target, here * w.image_size)
        for row in range(0, w.rows, w.lines):
            lines = min(w.lines, w.rows - row)
            a = dy + (first * w.rows + row) * w.columns * w.outputs * size
            to_row = target + row * w.step_y * size
            for g in range(w.groups):
                indirect_product(
                    like, a + g * w.group_outputs * size, pixel_places, no_place, ONE,
                    w.group_outputs, ADJACENT, packed + g * group_size * size, panel,
                    w.group_outputs * panel, NOWHERE, NO_STRIDE, products, k,
                    here * lines * w.columns, k,
                )  # fmt: skip
                to_group = to_row + g * w.group_channels * size
                _add_block_of_windows(w, like, here, lines, products, piece_places, to_group)
        if w.image_size != own_size:
            for i in range(here):
                inner = target + (i * w.image_size + w.inner) * size
                outer = result + i * own_size * size
                if adds:
                    add_block(like, inner, w.row_size, outer, w.own_row, w.height, w.own_row)
                else:
                    copy_block(like, inner, w.row_size, outer, w.own_row, w.height, w.own_row)


@kernel
def _add_block_of_windows(w, like, images, lines, products, piece_places, target):
    """Add windows to images, in an order in which no sum waits for the one before it.

    Neighbouring windows overlap, and a load waits long for a store of which it needs a part, or
    might need one: a part of a vector counts as all of it (a window 2 instead of 7 ns).
    """
    size, lanes = size_of(like), VECTOR_BYTES // size_of(like)
    places = vector_at(piece_places, w.pieces, PLACE)
    rounds = ((w.run + lanes - 1) // lanes * lanes + w.step_x - 1) // w.step_x
    k = w.pieces * w.run
    for begin in range(min(rounds, w.columns)):
        count = (w.columns - begin + rounds - 1) // rounds
        for image in range(images):
            for y in range(lines):
                source = products + ((image * lines + y) * w.columns + begin) * k * size
                to_window = image * w.image_size + y * w.step_y + begin * w.step_x
                for i in range(w.pieces):
                    add_block(
                        like, source + i * w.run * size, rounds * k,
                        target + (to_window + places[i]) * size, rounds * w.step_x, count, w.run,
                    )  # fmt: skip


@kernel
def _aligned(place):
    """Return the next address at which a line of the cache begins."""
    return (place + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@kernel
def _clear(like, target, count):
    numbers = vector_at(target, count, like)
    for i in range(count):
        numbers[i] = 0


@kernel
def _write_windows(w, images, columns, places):
    """Write where the windows of some columns begin, counted in elements, into a table."""
    table, i = vector_at(places, images * w.lines * columns, PLACE), 0
    for image in range(images):
        for y in range(w.lines):
            for x in range(columns):
                table[i] = image * w.image_size + y * w.step_y + x * w.step_x
                i += 1


@kernel
def _write_elements(w, first, count, step, places):
    """Write where every ``step``-th element of a window is, from the element ``first`` on."""
    table = vector_at(places, count, PLACE)
    for i in range(count):
        piece, place = (first + i * step) // w.run, (first + i * step) % w.run
        table[i] = piece // w.in_row * w.piece_y + piece % w.in_row * w.piece_x + place


@kernel
def _pack_weight(w, count, like, weight, packed):
    """Copy the weight to panels of a tile's columns, group by group.

    Of a weight of ``count`` windows as one, the rows of each one are shifted.
    """
    size, k, panel = size_of(like), w.pieces * w.run, PANEL_BYTES // size_of(like)
    if count > 1:
        _clear(like, packed, k * panel)
        one, shift = w.outputs // count, w.step_x // count
        length = w.run - (count - 1) * shift
        for i in range(count):
            for piece in range(w.pieces):
                source = weight + piece * length * one * size
                target = packed + ((piece * w.run + i * shift) * panel + i * one) * size
                copy_block(like, source, one, target, panel, length, one)
        return
    for g in range(w.groups):
        for j in range(0, w.group_outputs, panel):
            source = weight + (g * w.group_outputs + j) * size
            columns = min(panel, w.group_outputs - j)
            copy_block(like, source, w.outputs, packed, panel, k, columns)
            packed += k * panel * size


@kernel
def _padded(w, like, images, x, first, target):
    """Return where images are in which all windows lie: in place, or copied."""
    size, own_size = size_of(like), w.height * w.own_row
    source = x + first * own_size * size
    if own_size == w.image_size:
        return source
    _clear(like, target, images * w.image_size)
    for i in range(images):
        inner = target + (i * w.image_size + w.inner) * size
        outer = source + i * own_size * size
        copy_block(like, outer, w.own_row, inner, w.row_size, w.height, w.own_row)
    return target


@kernel
def sum_pixels(dy, adds, d_bias):
    """Write the sum of the pixels of all images."""
    like, pixels = d_bias.dtype.type(0), dy.size // d_bias.size
    add_rows(like, address(dy), pixels, d_bias.size, np.int64(adds), address(d_bias))


@kernel
def add_bias(bias, floor, y):
    """Add the bias to each pixel; at least ``floor``."""
    numbers = flat(y)
    if bias.size > 0:
        for i in range(0, y.size, bias.size):
            for j in range(bias.size):
                numbers[i + j] += bias[j]
    if floor > -np.inf:
        for i in range(y.size):
            numbers[i] = floor if numbers[i] < floor else numbers[i]


if JIT_DISABLED:  # addresses are for machine code

    def _windows_in(x, y, window):
        """Return the inner part of padded images, and a view of each window in them."""
        w = Windows(*x.shape[1:], *y.shape[1:], *map(int, window))
        own = windows.lay_out(w, 1, 1)
        pixels = own.row_size // w.channels
        images = np.zeros((len(x), own.image_size // own.row_size, pixels, w.channels), x.dtype)
        lengths = w.rows, w.columns, w.kernel_height, w.kernel_width, w.groups, own.group_channels
        steps = own.step_y, own.step_x, own.piece_y, own.piece_x, own.group_channels, 1
        strides = images.strides[0], *(step * x.itemsize for step in steps)
        each = np.lib.stride_tricks.as_strided(images, (len(x), *lengths), strides)
        return images[:, w.top : w.top + w.height, w.left : w.left + w.width], each

    def multiply_windows(x, weight, bias, window, floor, scratch, y):
        inner, each = _windows_in(x, y, window)
        inner[...] = x
        own = weight.reshape(*each.shape[3:5], each.shape[6], each.shape[5], -1)
        product = np.einsum("nyxabgc,abcgo->nyxgo", each, own).reshape(y.shape)
        np.maximum(product + bias if bias.size > 0 else product, floor, out=y)

    def parameter_gradients(x, dy, window, begin, adds, scratch, d_weight, d_bias):
        if d_bias.size > 0:
            sum_pixels(dy, adds, d_bias)
        if d_weight.size == 0:
            return
        inner, each = _windows_in(x, dy, window)
        inner[...] = x
        by_group = dy.reshape(*each.shape[:3], each.shape[5], -1)
        whole = np.einsum("nyxabgc,nyxgo->abcgo", each, by_group).reshape(-1, dy.shape[3])
        part = whole[begin : begin + len(d_weight)]
        d_weight[...] = d_weight + part if adds else part

    def add_windows(dy, weight, window, adds, scratch, dx):
        inner, each = _windows_in(dx, dy, window)
        by_group = dy.reshape(*each.shape[:3], each.shape[5], -1)
        own = weight.reshape(*each.shape[3:5], each.shape[6], each.shape[5], -1)
        products = np.einsum("nyxgo,abcgo->nyxabgc", by_group, own)
        for place in np.ndindex(*each.shape[1:5]):
            each[:, *place] += products[:, *place]
        dx[...] = dx + inner if adds else inner

    def sum_pixels(dy, adds, d_bias):
        total = dy.sum(axis=(0, 1, 2))
        d_bias[...] = d_bias + total if adds else total
