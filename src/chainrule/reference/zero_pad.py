"""An image among zeros, or the part of it that an output holds: padding, and cropping."""

from chainrule.reference.shifted import copy_shifted


def zero_pad(x, before, y):
    """Write x with so many zeros before its rows and columns; where they are negative, it is cut.

    What y has no place for is left out; what it has more is 0.
    """
    for image, out in zip(x, y, strict=True):
        copy_shifted(image, -int(before[0]), 1, -int(before[1]), 1, out)


def zero_pad_backward(dy, before, dx):
    """Write where dy has its place: the same the other way round."""
    zero_pad(dy, (-before[0], -before[1]), dx)
