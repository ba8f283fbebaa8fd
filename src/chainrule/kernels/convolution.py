"""Convolutions of images, channels last: windows times a weight, and the derivatives.

A weight is a matrix with a row for each element of a window, ``kernel_height * kernel_width *
channels / groups``, and a column for each output channel. Windows are read where they lie
(``indirect.py``), in images that are copied only where they are padded. The gradient by the images
goes the other way round: the products are windows, a block of them at a time, that are added up.
"""

import numpy as np

from chainrule.kernels import blocks, windows
from chainrule.kernels.copy import add_block, copy_block
from chainrule.kernels.gemm import ADJACENT, NO_STRIDE, NOWHERE, tile_rows
from chainrule.kernels.indirect import indirect_tile
from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.native import address
from chainrule.kernels.routine import routine
from chainrule.kernels.sums import add_rows
from chainrule.kernels.tile import TILE_VECTORS
from chainrule.kernels.transpose import transpose_block
from chainrule.kernels.vectors import VECTOR_BYTES, size_of
from chainrule.kernels.windows import Windows
from chainrule.kernels.views import flat, vector_at

PANEL_BYTES = TILE_VECTORS * VECTOR_BYTES  # of a row of a packed weight
PLACE_BYTES, LINE_BYTES = windows.PLACE_BYTES, windows.LINE_BYTES
PLACE = np.int64(0)  # like the items of a table
ONE_PIECE = np.int64(1)

# So many windows at a time: with fewer, a weight larger than the first-level cache costs too much.
WINDOWS = 128

# Of a gradient by the weight, so many terms at a time: what they take of dy stays in that cache.
TERMS = 128

# Of a gradient by the images, the products of some windows at a time, in that cache.
LEAST_PRODUCTS, PRODUCT_BYTES = 16, blocks.L1_BYTES // 2


def windows_of_products(windows, item):
    """Return of how many windows the products are made at a time."""
    w = windows
    size = w.kernel_height * w.kernel_width * w.channels // w.groups * item
    return min(max(PRODUCT_BYTES // size, LEAST_PRODUCTS), WINDOWS)


padded, pieces_of = kernel(windows.padded), kernel(windows.pieces_of)
block_of, widened = kernel(windows.block_of), kernel(windows.widened)
joined, most_products = kernel(windows.joined), kernel(windows_of_products)


@kernel
def windows_of(images, outputs, window):
    """Return the lengths of images, outputs and what lies between."""
    return Windows(
        images.shape[1], images.shape[2], images.shape[3], outputs.shape[1], outputs.shape[2],
        outputs.shape[3], int(window[0]), int(window[1]), int(window[2]), int(window[3]),
        int(window[4]), int(window[5]), int(window[6]), int(window[7]), int(window[8]),
    )  # fmt: skip


@routine
def indirect_product(
    floor, a, row_places, piece_places, pieces, run, a_k, b, b_row, b_panel, start, start_row, c,
    c_row, m, n,
):  # fmt: skip
    """Compute ``m`` rows and ``n`` columns by :func:`indirect_tile`.

    ``b`` consists of panels of as many columns as a tile has, ``b_panel`` elements apart.
    """
    size = size_of(floor)
    most = PANEL_BYTES // size
    for j in range(0, n, most):
        columns = min(n - j, most)
        b_j = b + j // most * b_panel * size
        start_j = start + j * size if start != NOWHERE else NOWHERE
        i = 0
        while i < m:
            rows = tile_rows(m - i)
            start_i = start_j + i * start_row * size if start != NOWHERE else NOWHERE
            indirect_tile(
                rows, floor, a, row_places + i * PLACE_BYTES, piece_places, pieces, run, a_k, b_j,
                b_row, start_i, start_row, c + (i * c_row + j) * size, c_row, columns,
            )  # fmt: skip
            i += rows


@kernel
def multiply_windows(w, x, weight, bias, floor, scratch, y):
    """Write each window times the weight, and the bias; at least ``floor``."""
    size = size_of(floor)
    count = joined(w, VECTOR_BYTES // size, PANEL_BYTES // size)
    w = widened(w, count)
    pieces, run = pieces_of(w)
    images, rows = block_of(w, WINDOWS)
    images = min(images, x.shape[0])
    height, width = padded(w)
    image_size, row_size = height * width * w.channels, width * w.channels
    k, n, panel = pieces * run, w.out_channels // w.groups, PANEL_BYTES // size
    group_bytes = (n + panel - 1) // panel * panel * k * size

    window_places = address(scratch)
    piece_places = window_places + images * rows * w.columns * PLACE_BYTES
    start = piece_places + pieces * PLACE_BYTES
    packed = aligned(start + w.out_channels * size)
    images_at = packed + w.groups * group_bytes
    write_windows(w, images, rows, image_size, row_size, window_places)
    write_pieces(w, row_size, piece_places)
    pack_weight(w, count, floor, address(weight), packed)
    if bias.size > 0:
        for i in range(count):
            one = bias.size
            copy_block(floor, address(bias), one, start + i * one * size, one, ADJACENT, one)
    else:
        start = NOWHERE
    for first in range(0, x.shape[0], images):
        here = min(images, x.shape[0] - first)
        source = address(x) + first * w.height * w.width * w.channels * size
        if image_size != w.height * w.width * w.channels:
            copy_images(w, floor, here, height, width, source, images_at)
            source = images_at
        for row in range(0, w.rows, rows):
            m = here * min(rows, w.rows - row) * w.columns
            a = source + row * w.stride_height * row_size * size
            c = address(y) + (first * w.rows + row) * w.columns * w.out_channels * size
            for g in range(w.groups):
                start_g = start + g * n * size if start != NOWHERE else NOWHERE
                indirect_product(
                    floor, a + g * (w.channels // w.groups) * size, window_places, piece_places,
                    pieces, run, ADJACENT, packed + g * group_bytes, panel, k * panel, start_g,
                    NO_STRIDE, c + g * n * size, w.out_channels, m, n,
                )  # fmt: skip


@kernel
def aligned(place):
    """Return the next address at which a line of the cache begins."""
    return (place + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@kernel
def write_windows(w, images, rows, image_size, row_size, places):
    """Write where windows begin, counted in elements, into a table."""
    table, i = vector_at(places, images * rows * w.columns, PLACE), 0
    for image in range(images):
        for y in range(rows):
            for x in range(w.columns):
                place = image * image_size + y * w.stride_height * row_size
                table[i] = place + x * w.stride_width * w.channels
                i += 1


@kernel
def write_pieces(w, row_size, places):
    """Write where the pieces of a window begin in it."""
    pieces, _ = pieces_of(w)
    table, in_row = vector_at(places, pieces, PLACE), pieces // w.kernel_height
    for i in range(pieces):
        place = i // in_row * w.dilation_height * row_size
        table[i] = place + i % in_row * w.dilation_width * w.channels


@kernel
def pack_weight(w, count, like, weight, packed):
    """Copy the weight to panels of a tile's columns, group by group.

    Of a weight of ``count`` windows as one, the columns of each one are shifted.
    """
    size = size_of(like)
    pieces, run = pieces_of(w)
    k, n, panel = pieces * run, w.out_channels // w.groups, PANEL_BYTES // size
    if count > 1:
        clear(like, packed, k * panel)
        own, shift = w.out_channels // count, w.stride_width // count * w.channels
        length = run - (count - 1) * shift
        for i in range(count):
            for piece in range(pieces):
                source = weight + piece * length * own * size
                target = packed + ((piece * run + i * shift) * panel + i * own) * size
                copy_block(like, source, own, target, panel, length, own)
        return
    for g in range(w.groups):
        for j in range(0, n, panel):
            source = weight + (g * n + j) * size
            copy_block(like, source, w.out_channels, packed, panel, k, min(panel, n - j))
            packed += k * panel * size


@kernel
def clear(like, target, count):
    """Write zeros."""
    numbers = vector_at(target, count, like)
    for i in range(count):
        numbers[i] = 0


@kernel
def copy_images(w, like, images, height, width, source, target):
    """Copy images into padded ones."""
    clear(like, target, images * height * width * w.channels)
    size, row = size_of(like), w.width * w.channels
    for i in range(images):
        inner = target + ((i * height + w.top) * width + w.left) * w.channels * size
        outer = source + i * w.height * row * size
        copy_block(like, outer, row, inner, width * w.channels, w.height, row)


@kernel
def weight_gradient(w, x, dy, begin, adds, scratch, d_weight):
    """Write some rows of the gradient by the weight, from ``begin`` on: windows times dy."""
    no_floor = d_weight.dtype.type(-np.inf)
    size = size_of(no_floor)
    count = joined(w, VECTOR_BYTES // size, PANEL_BYTES // size)
    _, own_run = pieces_of(w)
    w = widened(w, count)
    _, run = pieces_of(w)
    images, rows = block_of(w, TERMS)
    images = min(images, x.shape[0])
    height, width = padded(w)
    image_size, row_size = height * width * w.channels, width * w.channels
    n = w.out_channels // w.groups

    first, last = begin, begin + d_weight.shape[0]
    if count > 1:
        first = first // own_run * run + first % own_run
        last = (last - 1) // own_run * run + (last - 1) % own_run + run - own_run + 1
    m = last - first
    element_places = address(scratch)
    row_places = element_places + m * PLACE_BYTES
    sums = aligned(row_places + images * rows * PLACE_BYTES)
    images_at = aligned(sums + (m * w.out_channels * size if count > 1 else 0))
    c = sums if count > 1 else address(d_weight)
    write_elements(w, first, m, row_size, element_places)
    table, i = vector_at(row_places, images * rows, PLACE), 0
    for image in range(images):
        for y in range(rows):
            table[i] = image * image_size + y * w.stride_height * row_size
            i += 1
    has_start = count == 1 and adds != 0
    for image in range(0, x.shape[0], images):
        here = min(images, x.shape[0] - image)
        source = address(x) + image * w.height * w.width * w.channels * size
        if image_size != w.height * w.width * w.channels:
            copy_images(w, no_floor, here, height, width, source, images_at)
            source = images_at
        for row in range(0, w.rows, rows):
            in_block = here * min(rows, w.rows - row)
            for column in range(0, w.columns, TERMS):
                place = row * w.stride_height * row_size + column * w.stride_width * w.channels
                b = ((image * w.rows + row) * w.columns + column) * w.out_channels
                for g in range(w.groups):
                    c_g = c + g * n * size
                    indirect_product(
                        no_floor, source + (place + g * (w.channels // w.groups)) * size,
                        element_places, row_places, in_block, min(TERMS, w.columns - column),
                        w.stride_width * w.channels, address(dy) + (b + g * n) * size,
                        w.out_channels, PANEL_BYTES // size, c_g if has_start else NOWHERE,
                        w.out_channels, c_g, w.out_channels, m, n,
                    )  # fmt: skip
                has_start = True
    if count > 1:
        add_joined(w, count, no_floor, sums, first, begin, adds, d_weight)


@kernel
def write_elements(w, first, count, row_size, places):
    """Write where elements of a window are, from the element ``first`` on."""
    pieces, run = pieces_of(w)
    table, in_row = vector_at(places, count, PLACE), pieces // w.kernel_height
    for i in range(count):
        piece, place = (first + i) // run, (first + i) % run
        place += piece // in_row * w.dilation_height * row_size
        table[i] = place + piece % in_row * w.dilation_width * w.channels


@kernel
def add_joined(w, count, like, sums, first, begin, adds, d_weight):
    """Add up the gradients of ``count`` windows that were computed as one."""
    _, run = pieces_of(w)
    own, shift = w.out_channels // count, w.stride_width // count * w.channels
    length = run - (count - 1) * shift
    for i in range(d_weight.shape[0]):
        row = d_weight[i]
        if adds == 0:
            for j in range(own):
                row[j] = 0
        place = (begin + i) // length * run + (begin + i) % length - first
        for part in range(count):
            offset = (place + part * shift) * w.out_channels + part * own
            part_sums = vector_at(sums + offset * size_of(like), own, like)
            for j in range(own):
                row[j] += part_sums[j]


@kernel
def add_windows(w, dy, weight, adds, scratch, dx):
    """Add up windows, each the weight times a row of dy."""
    like = dx.dtype.type(-np.inf)
    size = size_of(like)
    pieces, run = pieces_of(w)
    k, n, panel = pieces * run, w.out_channels // w.groups, PANEL_BYTES // size
    images, rows = block_of(w, most_products(w, size))
    images = min(images, dy.shape[0])
    height, width = padded(w)
    image_size, dx_size = height * width * w.channels, w.height * w.width * w.channels
    group_bytes = (k + panel - 1) // panel * panel * n * size

    row_places = address(scratch)
    piece_places = row_places + images * rows * w.columns * PLACE_BYTES
    no_place = piece_places + pieces * PLACE_BYTES
    packed = aligned(no_place + PLACE_BYTES)
    products = packed + w.groups * group_bytes
    images_at = aligned(products + images * rows * w.columns * k * size)
    table = vector_at(row_places, images * rows * w.columns, PLACE)
    for i in range(table.size):
        table[i] = i * w.out_channels
    write_pieces(w, width * w.channels, piece_places)
    vector_at(no_place, ONE_PIECE, PLACE)[0] = 0
    for g in range(w.groups):
        for j in range(0, k, panel):
            target = packed + g * group_bytes + j * n * size
            source = address(weight) + (j * w.out_channels + g * n) * size
            transpose_block(
                like, size, source, w.out_channels, target, panel, min(panel, k - j), n
            )  # fmt: skip
    for first in range(0, dy.shape[0], images):
        here = min(images, dy.shape[0] - first)
        result = address(dx) + first * dx_size * size
        target = images_at if image_size != dx_size else result
        if image_size != dx_size or adds == 0:
            clear(like, target, here * image_size)
        for row in range(0, w.rows, rows):
            rows_here = min(rows, w.rows - row)
            a = address(dy) + (first * w.rows + row) * w.columns * w.out_channels * size
            to_row = target + row * w.stride_height * width * w.channels * size
            for g in range(w.groups):
                indirect_product(
                    like, a + g * n * size, row_places, no_place, ONE_PIECE, n, ADJACENT,
                    packed + g * group_bytes, panel, n * panel, NOWHERE, NO_STRIDE, products, k,
                    here * rows_here * w.columns, k,
                )  # fmt: skip
                add_block_of_windows(
                    w, like, here, rows_here, height, width, products, piece_places,
                    to_row + g * (w.channels // w.groups) * size,
                )  # fmt: skip
        if image_size != dx_size:
            crop_images(w, like, here, height, width, target, adds, result)


@kernel
def add_block_of_windows(w, like, images, rows, height, width, products, piece_places, target):
    """Add windows to images, in an order in which no sum waits for the one before it.

    Neighbouring windows overlap, and a load waits long for a store of which it needs a part.
    """
    size, row_size = size_of(like), width * w.channels
    pieces, run = pieces_of(w)
    places, step = vector_at(piece_places, pieces, PLACE), w.stride_width * w.channels
    rounds = (run + step - 1) // step
    for begin in range(min(rounds, w.columns)):
        count = (w.columns - begin + rounds - 1) // rounds
        for image in range(images):
            for y in range(rows):
                source = products + (
                    ((image * rows + y) * w.columns + begin) * pieces * run * size
                )
                to_row = image * height * row_size + y * w.stride_height * row_size + begin * step
                for i in range(pieces):
                    add_block(
                        like, source + i * run * size, rounds * pieces * run,
                        target + (to_row + places[i]) * size, rounds * step, count, run,
                    )  # fmt: skip


@kernel
def crop_images(w, like, images, height, width, source, adds, target):
    """Copy images out of padded ones, or add them."""
    size, row = size_of(like), w.width * w.channels
    for i in range(images):
        inner = source + ((i * height + w.top) * width + w.left) * w.channels * size
        outer = target + i * w.height * row * size
        if adds:
            add_block(like, inner, width * w.channels, outer, row, w.height, row)
        else:
            copy_block(like, inner, width * w.channels, outer, row, w.height, row)


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


@kernel
def sum_pixels(dy, adds, d_bias):
    """Write the sum of the pixels of all images."""
    like, pixels = d_bias.dtype.type(0), dy.size // d_bias.size
    add_rows(like, address(dy), pixels, d_bias.size, np.int64(adds), address(d_bias))


def scratch_bytes(shape, out_shape, window, rows, item):
    """Return the workspace of a convolution and its derivatives, for a batch of ``rows`` images.

    ``shape`` and ``out_shape`` are those of an image and of its outputs.
    """
    own = windows.Windows(*shape, *out_shape, *map(int, window))
    panel = PANEL_BYTES // item
    wide = windows.widened(own, windows.joined(own, VECTOR_BYTES // item, panel))
    height, width = windows.padded(own)
    most = 0
    for w, block, products in (
        (wide, WINDOWS, 0),
        (wide, TERMS, 0),
        (own, windows_of_products(own, item), 1),
    ):
        pieces, run = windows.pieces_of(w)
        images, lines = windows.block_of(w, block)
        images, count, k = min(images, rows), min(images, rows) * lines * w.columns, pieces * run
        places = count + 2 * pieces + k
        packed = (k + panel) * (w.out_channels + panel * w.groups)
        numbers = packed + products * count * k + images * height * width * w.channels
        most = max(most, places * PLACE_BYTES + numbers * item)
    return most + 8 * LINE_BYTES


if JIT_DISABLED:  # addresses are for machine code

    def _windows_of(w, x):
        """Return each window of padded images: (n, rows, columns, height, width, groups, -1)."""
        height, width = padded(w)
        images = np.zeros((len(x), height, width, w.channels), x.dtype)
        images[:, w.top : w.top + w.height, w.left : w.left + w.width] = x
        n, y, x, c = images.strides
        return images, np.lib.stride_tricks.as_strided(
            images,
            (
                *(len(images), w.rows, w.columns, w.kernel_height, w.kernel_width),
                *(w.groups, w.channels // w.groups),
            ),
            (
                *(n, y * w.stride_height, x * w.stride_width, y * w.dilation_height),
                *(x * w.dilation_width, c * (w.channels // w.groups), c),
            ),
        )

    def _weight_of(w, weight):
        return weight.reshape(w.kernel_height, w.kernel_width, -1, w.groups, w.out_channels // w.groups)

    def multiply_windows(w, x, weight, bias, floor, scratch, y):
        _, own = _windows_of(w, x)
        y[...] = np.einsum("nyxabgc,abcgo->nyxgo", own, _weight_of(w, weight)).reshape(y.shape)
        if bias.size > 0:
            y += bias
        np.maximum(y, floor, out=y)

    def weight_gradient(w, x, dy, begin, adds, scratch, d_weight):
        _, own = _windows_of(w, x)
        dy = dy.reshape(*dy.shape[:3], w.groups, -1)
        whole = np.einsum("nyxabgc,nyxgo->abcgo", own, dy).reshape(-1, w.out_channels)
        part = whole[begin : begin + len(d_weight)]
        d_weight[...] = d_weight + part if adds else part

    def add_windows(w, dy, weight, adds, scratch, dx):
        images, own = _windows_of(w, np.zeros_like(dx))
        dy = dy.reshape(*dy.shape[:3], w.groups, -1)
        products = np.einsum("nyxgo,abcgo->nyxabgc", dy, _weight_of(w, weight))
        for place in np.ndindex(own.shape[1:5]):
            own[:, *place] += products[:, *place]
        inner = images[:, w.top : w.top + w.height, w.left : w.left + w.width]
        dx[...] = dx + inner if adds else inner

    def sum_pixels(dy, adds, d_bias):
        total = dy.sum(axis=(0, 1, 2))
        d_bias[...] = d_bias + total if adds else total
