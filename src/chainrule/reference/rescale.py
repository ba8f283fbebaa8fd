"""A line through every element, and its derivative."""


def rescale(x, y, scale, offset):
    """``y = x * scale + offset``."""
    y[...] = x * x.dtype.type(scale) + x.dtype.type(offset)


def rescale_backward(dy, dx, scale):
    """``dx = dy * scale``."""
    dx[...] = dy * dy.dtype.type(scale)
