"""The logistic function."""

from chainrule.reference import elementary


def sigmoid(x, y):
    """``y = 1 / (1 + exp(-x))``."""
    y[...] = elementary.sigmoid(x)


def sigmoid_backward(dy, y, dx):
    """``dx = dy * sigmoid(x) * (1 - sigmoid(x))``."""
    dx[...] = dy * y * (1 - y)


def sigmoid_second(dy, y, dx):
    """``g(y) = y * (1 - y)``, so that ``dx = dy * (1 - 2 * y)``."""
    dx[...] = dy * (1 - 2 * y)


def sigmoid_third(dy, y, dx):
    """``g''(y) = -2``."""
    dx[...] = dy * -2
