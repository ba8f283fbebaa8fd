"""What pooling does in one window of an image, for all channels.

A loop along few channels is over before it has paid for its start. Here a window is a few vectors
of channels, the last one masked, that stay in registers while its pixels go by.

The largest of several numbers is the first of them that is so; a NaN counts as larger than all that
comes before it. So does PyTorch.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.vectors import INDEX, VECTOR_BYTES, Vectors
from chainrule.kernels.views import flat


@kernel
def axes(shape, window):
    """Return, for height and width each: length, kernel_size, stride, padding and dilation.

    ``window`` has a pair of each of the last four.
    """
    return (
        (shape[1], int(window[0]), int(window[2]), int(window[4]), int(window[6])),
        (shape[2], int(window[1]), int(window[3]), int(window[5]), int(window[7])),
    )


@kernel
def inside(place, axis):
    """Return which elements of an axis a window has: the first, the one behind the last, a step."""
    length, kernel_size, stride, padding, dilation = axis
    first = place * stride - padding
    stop = first + (kernel_size - 1) * dilation + 1
    while first < 0:
        first += dilation
    while stop > length:
        stop -= dilation
    return first, stop, dilation


@kernel
def overlap(axis):
    """Tell whether windows have elements in common."""
    _, kernel_size, stride, _, dilation = axis
    return stride < (kernel_size - 1) * dilation + 1


@kernel
def is_tiled(of_rows, of_columns, dy):
    """Tell whether each pixel is in one window, of which all pixels are next to each other."""
    for axis, windows in ((of_rows, dy.shape[1]), (of_columns, dy.shape[2])):
        length, kernel_size, stride, padding, dilation = axis
        if stride != kernel_size or padding != 0 or dilation != 1 or windows * stride != length:
            return False
    return True


@kernel
def write_zeros(image):
    elements, zero = flat(image), image.dtype.type(0)
    for k in range(elements.size):
        elements[k] = zero


class Window:
    """A window of an image (height, width, channels), while code is written for it.

    ``rows`` and ``columns`` are each the first one, the one behind the last, and their distance.
    """

    def __init__(self, context, builder, signature, values):
        self.context, self.builder = context, builder
        image, kind = values[0], signature.args[0]
        width = VECTOR_BYTES // (kind.dtype.bitwidth // 8)
        self.vectors = Vectors(builder, context.get_value_type(kind.dtype), width)
        shape = make_array(kind)(context, builder, image).shape
        _, width, self.channels = cgutils.unpack_tuple(builder, shape, 3)
        self.row = builder.mul(width, self.channels)
        self.rows, self.columns = (cgutils.unpack_tuple(builder, pair, 3) for pair in values[1:3])
        self.image, *self.arrays = (
            make_array(kind)(context, builder, array).data
            for kind, array in zip(signature.args, values, strict=True)
            if isinstance(kind, types.Array)
        )

    def each_vector(self, body):
        """Call ``body(first, mask)`` for each vector of channels."""
        builder, width = self.builder, ir.Constant(INDEX, self.vectors.width)
        whole = builder.sdiv(self.channels, width)
        done = builder.mul(whole, width)
        rest = builder.sub(self.channels, done)
        with cgutils.for_range(builder, whole) as vector:
            body(builder.mul(vector.index, width), None)
        with builder.if_then(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0))):
            body(done, self.vectors.lanes_below(rest, 0))

    def at(self, row, column):
        """Return where a pixel is in the image, in elements."""
        builder = self.builder
        return builder.add(builder.mul(row, self.row), builder.mul(column, self.channels))

    def each_pixel(self, body):
        """Call ``body(offset)`` for each pixel. Most windows are two by two: no loop is needed."""
        builder = self.builder

        def are_two(first, stop, step):
            after = builder.add(builder.add(first, step), ir.Constant(INDEX, 1))
            return builder.icmp_signed("==", after, stop)

        with builder.if_else(builder.and_(are_two(*self.rows), are_two(*self.columns))) as branches:
            with branches[0]:
                for row in (self.rows[0], builder.add(self.rows[0], self.rows[2])):
                    for column in (self.columns[0], builder.add(self.columns[0], self.columns[2])):
                        body(self.at(row, column))
            with (
                branches[1],
                cgutils.for_range_slice(builder, *self.rows, INDEX) as (row, _),
                cgutils.for_range_slice(builder, *self.columns, INDEX) as (column, _),
            ):
                body(self.at(row, column))

    def load(self, array, first, offset, mask):
        """Return the vector of a pixel, or of an output, that begins with channel ``first``."""
        return self.vectors.load(self._at(array, first, offset), 0, mask)

    def store(self, value, array, first, mask, offset=None):
        """Write the vector of an output, or of a pixel."""
        self.vectors.store(value, self._at(array, first, offset), 0, mask)

    def give(self, value, array, first, offset, mask, adds):
        """Write the vector of a pixel, or add it to that; ``adds`` is 0 or 1.

        A masked load waits for the stores before it, even where these wrote something else.
        """
        builder = self.builder
        total = cgutils.alloca_once(builder, value.type)
        builder.store(value, total)
        with builder.if_then(builder.icmp_signed("!=", adds, ir.Constant(adds.type, 0))):
            before = self.load(array, first, offset, mask)
            builder.store(builder.fadd(before, value), total)
        self.store(builder.load(total), array, first, mask, offset)

    def pixel(self, first, offset, mask):
        """Return the vector of a pixel that is compared with others."""
        return self.load(self.image, first, offset, mask)

    def _at(self, array, first, offset):
        place = self.builder.gep(array, [first])
        return place if offset is None else self.builder.gep(place, [offset])

    def find_largest(self, first, mask, number):
        """Return each channel's largest pixel, and ``number(offset)`` of that."""
        builder = self.builder
        least = ir.Constant(self.vectors.vector, [float("-inf")] * self.vectors.width)
        largest = cgutils.alloca_once(builder, least.type)
        builder.store(least, largest)
        start = number(self.at(self.rows[0], self.columns[0]))
        found = cgutils.alloca_once(builder, start.type)
        builder.store(start, found)

        def compare(offset):
            x, before = self.pixel(first, offset, mask), builder.load(largest)
            is_nan = builder.fcmp_unordered("uno", x, x)
            is_larger = builder.or_(builder.fcmp_ordered(">", x, before), is_nan)
            builder.store(builder.select(is_larger, x, before), largest)
            builder.store(builder.select(is_larger, number(offset), builder.load(found)), found)

        self.each_pixel(compare)
        return builder.load(largest), builder.load(found)

    def number(self, offset):
        """Return the offset of a pixel as integers of the elements' size, one for each channel."""
        builder, element = self.builder, self.vectors.vector.element
        bits = ir.IntType(8 * self.vectors.alignment)
        narrow = offset if bits == INDEX else builder.trunc(offset, bits)
        one = self.vectors.splat(builder.bitcast(narrow, element))
        return builder.bitcast(one, ir.VectorType(bits, self.vectors.width))

    def slope(self, largest, floor, dy, first, mask):
        """Return each channel's dy, or 0 where the largest pixel is not more than the floor.

        Minus infinity is no floor.
        """
        builder, dy = self.builder, self.load(dy, first, None, mask)
        no_floor = builder.fcmp_ordered("==", floor, ir.Constant(floor.type, float("-inf")))
        above = builder.fcmp_ordered(">", largest, self.vectors.splat(floor))
        return builder.select(no_floor, dy, builder.select(above, dy, self.vectors.zero))

    def share(self, slope, found, offset):
        """Return the slope where the largest pixel, whose number was found, is this one, or 0."""
        is_here = self.builder.icmp_signed("==", self.number(offset), found)
        return self.builder.select(is_here, slope, self.vectors.zero)


@intrinsic
def take_largest(typing_context, image, rows, columns, other, floor, out):
    """Write, for each channel, the pixel of another image where this one's is the largest.

    What is less than the floor is replaced by it.
    """

    def codegen(context, builder, signature, values):
        window = Window(context, builder, signature, values)
        other, out = window.arrays

        def take(first, mask):
            _, found = window.find_largest(
                first, mask, lambda at: window.load(other, first, at, mask)
            )
            taken = window.vectors.at_least(found, window.vectors.splat(values[4]))
            window.store(taken, out, first, mask)

        window.each_vector(take)
        return context.get_dummy_value()

    return types.void(image, rows, columns, other, floor, out), codegen


@intrinsic
def give_largest(typing_context, image, rows, columns, dy, floor, adds, dx):
    """Give each channel's dy to the pixel of dx where that of the image is the largest.

    That must be more than the floor, unless this is minus infinity. It is added to what is there,
    or, with ``adds`` 0, replaces it, as zeros do in other pixels.
    """

    def codegen(context, builder, signature, values):
        window = Window(context, builder, signature, values)
        dy, dx = window.arrays

        def add(first, mask):
            largest, found = window.find_largest(first, mask, window.number)
            slope = window.slope(largest, values[4], dy, first, mask)

            def give(offset):
                share = window.share(slope, found, offset)
                window.give(share, dx, first, offset, mask, values[5])

            window.each_pixel(give)

        window.each_vector(add)
        return context.get_dummy_value()

    return types.void(image, rows, columns, dy, floor, adds, dx), codegen


@intrinsic
def mean(typing_context, image, rows, columns, count, out):
    """Write, for each channel, the sum of all pixels, divided by ``count``."""

    def codegen(context, builder, signature, values):
        window = Window(context, builder, signature, values)
        vectors, (out,) = window.vectors, window.arrays
        total = cgutils.alloca_once(builder, vectors.vector)

        def add_up(first, mask):
            builder.store(vectors.zero, total)

            def add(offset):
                x = window.load(window.image, first, offset, mask)
                builder.store(builder.fadd(builder.load(total), x), total)

            window.each_pixel(add)
            result = builder.fdiv(builder.load(total), vectors.splat(values[3]))
            window.store(result, out, first, mask)

        window.each_vector(add_up)
        return context.get_dummy_value()

    return types.void(image, rows, columns, count, out), codegen


@intrinsic
def give_all(typing_context, image, rows, columns, count, dy, adds):
    """Give each channel's dy, divided by ``count``, to all pixels, added or not."""

    def codegen(context, builder, signature, values):
        window = Window(context, builder, signature, values)
        (dy,) = window.arrays

        def add(first, mask):
            slope = window.load(dy, first, None, mask)
            share = builder.fdiv(slope, window.vectors.splat(values[3]))

            def give(offset):
                window.give(share, window.image, first, offset, mask, values[5])

            window.each_pixel(give)

        window.each_vector(add)
        return context.get_dummy_value()

    return types.void(image, rows, columns, count, dy, adds), codegen


if JIT_DISABLED:  # vectors are for machine code

    def in_window(rows, columns):
        return slice(*rows), slice(*columns)

    def place_of_largest(image, rows, columns):
        """Return the row, the column and the channel of each channel's largest pixel."""
        window = image[in_window(rows, columns)]
        pixels = window.reshape(-1, window.shape[2])
        largest = pixels.argmax(axis=0)
        for channel in np.flatnonzero(np.isnan(pixels).any(axis=0)):
            largest[channel] = np.flatnonzero(np.isnan(pixels[:, channel]))[-1]
        row, column = np.unravel_index(largest, window.shape[:2])
        place = rows[0] + row * rows[2], columns[0] + column * columns[2]
        return *place, np.arange(image.shape[2])

    def take_largest(image, rows, columns, other, floor, out):
        out[...] = np.maximum(other[place_of_largest(image, rows, columns)], floor)

    def give_largest(image, rows, columns, dy, floor, adds, dx):
        if not adds:
            dx[in_window(rows, columns)] = 0
        place = place_of_largest(image, rows, columns)
        dx[place] += np.where((image[place] > floor) | (floor == -np.inf), dy, 0)

    def mean(image, rows, columns, count, out):
        out[...] = image[in_window(rows, columns)].sum(axis=(0, 1)) / count

    def give_all(image, rows, columns, count, dy, adds):
        window = image[in_window(rows, columns)]
        window[...] = (window if adds else 0) + dy / count
