"""The windows of images, as twins of pooling go through them."""

from itertools import product

import numpy as np


def pairs(window):
    """Return kernel_size, stride, padding and dilation: for height and width each."""
    numbers = [int(number) for number in window]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def windows(images, window, y):
    """Yield each window: its place in y, and the index of its elements in the images.

    What is not in the images, but in their padding, is left out.
    """
    for at in product(*map(range, y.shape[1:3])):
        found = []
        for place, length, *own in zip(at, images.shape[1:], *pairs(window), strict=False):
            kernel_size, stride, padding, dilation = own
            elements = np.arange(kernel_size) * dilation + place * stride - padding
            elements = elements[(elements >= 0) & (elements < length)]
            found.append(slice(elements[0], elements[-1] + 1, dilation))
        yield at, (slice(None), *found)


def is_largest(window):
    """Tell of each number of windows (n, rows, columns, channels) whether it is the largest.

    It is the first of several; a NaN counts as larger than all that comes before it.
    """
    elements = window.reshape(len(window), -1, window.shape[3])
    numbers = np.arange(elements.shape[1])[:, np.newaxis]
    of_nan = np.where(np.isnan(elements), numbers, -1).max(axis=1)
    chosen = np.where(of_nan < 0, elements.argmax(axis=1), of_nan)
    return (numbers == chosen[:, np.newaxis]).reshape(window.shape)
