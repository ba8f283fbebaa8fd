"""A part of each image, chosen at random, perhaps flipped; the backward pass draws it again."""

from math import prod

from chainrule.reference.random import philox
from chainrule.reference.shifted import copy_shifted


def _drawn(image, lowest, highest, p, key, step, number):
    """Return the first row and column of an image's part, and whether each axis is flipped.

    They are the four words that Philox makes of the counter ``(image, number, step)`` and the key.
    """
    words = philox(image, number, step % 2**32, step >> 32, key % 2**32, key >> 32)
    counts = [int(high) - int(low) + 1 for low, high in zip(lowest, highest, strict=True)]
    firsts = [
        int(low) + (int(word) * count >> 32)
        for low, word, count in zip(lowest, words, counts, strict=False)
    ]
    flips = [int(word) < int(own * 2**32) for own, word in zip(p, words[2:], strict=True)]
    return firsts, flips


def random_crop(x, lowest, highest, p, key, step, number, first, y):
    """Write a part of each image that begins from ``lowest`` to ``highest``, of y's size.

    Outside of the image it is 0; with probability p, it is flipped along an axis. x begins at
    element ``first`` of the batch.
    """
    before = first // prod(x.shape[1:])
    for i, (image, out) in enumerate(zip(x, y, strict=True)):
        (row, column), flips = _drawn(before + i, lowest, highest, p, key, step, number)
        turned = out[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        copy_shifted(image, row, 1, column, 1, turned)


def random_crop_backward(dy, lowest, highest, p, key, step, number, first, dx):
    """Write where each dy comes from: the parts of the forward pass."""
    before = first // prod(dx.shape[1:])
    for i, (d_out, d_image) in enumerate(zip(dy, dx, strict=True)):
        (row, column), flips = _drawn(before + i, lowest, highest, p, key, step, number)
        turned = d_out[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        copy_shifted(turned, -row, 1, -column, 1, d_image)
