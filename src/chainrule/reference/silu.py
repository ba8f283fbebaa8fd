"""SiLU: ``x * sigmoid(x)``."""

from chainrule.reference.elementary import sigmoid


def silu(x, y):
    """``y = x * sigmoid(x)``."""
    y[...] = x * sigmoid(x)


def silu_backward(dy, x, dx):
    """``dx = dy * (s + x * s * (1 - s))`` with ``s = sigmoid(x)``."""
    s = sigmoid(x)
    dx[...] = dy * s * (1 + x * (1 - s))


def silu_second(dy, x, dx):
    """``dx = dy * s' * (2 + x * (1 - 2 * s))`` with ``s = sigmoid(x)`` and its slope s'."""
    s, slope = sigmoid(x), _slope_of_sigmoid(x)
    dx[...] = dy * slope * (2 + x * (1 - 2 * s))


def silu_third(dy, x, dx):
    """``dx = dy * s' * (3 * (1 - 2 * s) + x * (1 - 6 * s'))`` with ``s' = s * (1 - s)``."""
    s, slope = sigmoid(x), _slope_of_sigmoid(x)
    dx[...] = dy * slope * (3 * (1 - 2 * s) + x * (1 - 6 * slope))


def _slope_of_sigmoid(x):
    """Return ``s * (1 - s)``, and ``1 - s = sigmoid(-x)``, which has all its digits."""
    return sigmoid(x) * sigmoid(-x)
