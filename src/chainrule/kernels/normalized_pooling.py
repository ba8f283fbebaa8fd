"""What max-pooling does in one window of an image that is normalized while it is read.

A pixel z is ``(x - mean) * scale + shift``, by three numbers of its channel: the first rows of
``numbers``. So neither z nor the gradient by it is ever written.
"""

import numpy as np
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.jit import JIT_DISABLED
from chainrule.kernels.pooling import Window, take_largest

if JIT_DISABLED:
    from chainrule.kernels.pooling import in_window, place_of_largest

# The rows of ``numbers``; the last two are means over all pixels, for the backward pass.
MEAN, SCALE, SHIFT, OF_DY, OF_X = range(5)


class _NormalizedWindow(Window):
    def __init__(self, context, builder, signature, values):
        super().__init__(context, builder, signature, values)
        self.numbers, *self.arrays = self.arrays

    def of_channel(self, row, first, mask):
        """Return a row of the numbers, for the vector of channels that begins with ``first``."""
        return self.load(self.vectors.row(self.numbers, self.channels, row), first, None, mask)

    def deviation(self, first, offset, mask):
        x = self.load(self.image, first, offset, mask)
        return self.builder.fsub(x, self.of_channel(MEAN, first, mask))

    def pixel(self, first, offset, mask):
        scale, shift = (self.of_channel(row, first, mask) for row in (SCALE, SHIFT))
        return self.vectors.multiply_add(self.deviation(first, offset, mask), scale, shift)


@intrinsic
def take_largest_normalized(typing_context, image, rows, columns, numbers, floor, out):
    """Write each channel's largest z, or the floor if that is larger."""

    def codegen(context, builder, signature, values):
        window = _NormalizedWindow(context, builder, signature, values)
        vectors, (out,) = window.vectors, window.arrays

        def take(first, mask):
            largest, _ = window.find_largest(first, mask, window.number)
            window.store(vectors.at_least(largest, vectors.splat(values[4])), out, first, mask)

        window.each_vector(take)
        return context.get_dummy_value()

    return types.void(image, rows, columns, numbers, floor, out), codegen


@intrinsic
def add_products(typing_context, image, rows, columns, numbers, dy, floor, sums):
    """Add each channel's dy to a sum, and to a second one dy times the deviation of its largest z.

    Where this is not more than the floor, dy counts as 0, unless the floor is minus infinity.
    """

    def codegen(context, builder, signature, values):
        window = _NormalizedWindow(context, builder, signature, values)
        vectors, (dy, sums) = window.vectors, window.arrays
        second = vectors.row(sums, window.channels, 1)

        def add(first, mask):
            largest, deviation = window.find_largest(
                first, mask, lambda at: window.deviation(first, at, mask)
            )
            slope = window.slope(largest, values[5], dy, first, mask)
            total = builder.fadd(window.load(sums, first, None, mask), slope)
            window.store(total, sums, first, mask)
            total = vectors.multiply_add(slope, deviation, window.load(second, first, None, mask))
            window.store(total, second, first, mask)

        window.each_vector(add)
        return context.get_dummy_value()

    return types.void(image, rows, columns, numbers, dy, floor, sums), codegen


@intrinsic
def give_normalized(typing_context, image, rows, columns, numbers, dy, floor, dx):
    """Write the gradient by each pixel: only the one with the largest z has a part of dy."""

    def codegen(context, builder, signature, values):
        window = _NormalizedWindow(context, builder, signature, values)
        vectors, (dy, dx) = window.vectors, window.arrays

        def give_all(first, mask):
            largest, found = window.find_largest(first, mask, window.number)
            slope = window.slope(largest, values[5], dy, first, mask)

            def give(offset):
                of_dy, of_x, scale = (
                    window.of_channel(r, first, mask) for r in (OF_DY, OF_X, SCALE)
                )
                share = builder.fsub(window.share(slope, found, offset), of_dy)
                by_x = builder.fneg(window.deviation(first, offset, mask))
                share = vectors.multiply_add(by_x, of_x, share)
                window.store(builder.fmul(share, scale), dx, first, mask, offset)

            window.each_pixel(give)

        window.each_vector(give_all)
        return context.get_dummy_value()

    return types.void(image, rows, columns, numbers, dy, floor, dx), codegen


if JIT_DISABLED:  # vectors are for machine code

    def _normalized(image, rows, columns, numbers):
        """Return the image's z in a window, and anything elsewhere."""
        window, z = in_window(rows, columns), np.empty_like(image)
        z[window] = (image[window] - numbers[MEAN]) * numbers[SCALE] + numbers[SHIFT]
        return z

    def _largest(image, rows, columns, numbers, dy, floor):
        """Return where each channel's largest z is, and its dy, masked."""
        z = _normalized(image, rows, columns, numbers)
        place = place_of_largest(z, rows, columns)
        return place, np.where((z[place] > floor) | (floor == -np.inf), dy, 0)

    def take_largest_normalized(image, rows, columns, numbers, floor, out):
        z = _normalized(image, rows, columns, numbers)
        take_largest(z, rows, columns, z, floor, out)

    def add_products(image, rows, columns, numbers, dy, floor, sums):
        place, slope = _largest(image, rows, columns, numbers, dy, floor)
        sums += slope, slope * (image[place] - numbers[MEAN])

    def give_normalized(image, rows, columns, numbers, dy, floor, dx):
        place, slope = _largest(image, rows, columns, numbers, dy, floor)
        window, share = in_window(rows, columns), np.zeros_like(image)
        share[place] = slope
        of_x = (image[window] - numbers[MEAN]) * numbers[OF_X]
        dx[window] = (share[window] - numbers[OF_DY] - of_x) * numbers[SCALE]
