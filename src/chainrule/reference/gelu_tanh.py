"""GELU, approximated by a tanh."""

import math

from chainrule.reference.elementary import near_zero, sigmoid


def gelu_tanh(x, y):
    """``y = x / 2 * (1 + tanh(u))`` with ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)``.

    ``(1 + tanh(u)) / 2 = sigmoid(2 * u)``, which is precise also where it is small.
    """
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    y[...] = x * sigmoid(2 * u)


def gelu_tanh_backward(dy, x, dx):
    """``dx = dy * (s + x * s * (1 - s) * 2 * du/dx)`` with ``s = sigmoid(2 * u)``."""
    x = near_zero(x)
    s = sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    du_dx = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    dx[...] = dy * s * (1 + x * (1 - s) * 2 * du_dx)


def gelu_tanh_second(dy, x, dx):
    """``dx = dy * (2 * s' + x * s'')`` with ``s = sigmoid(v)``, since ``gelu_tanh(x) = x * s``."""
    x = near_zero(x)
    _, first, second, _ = _gate(x)
    dx[...] = dy * (2 * first + x * second)


def gelu_tanh_third(dy, x, dx):
    """``dx = dy * (3 * s'' + x * s''')``."""
    x = near_zero(x)
    _, _, second, third = _gate(x)
    dx[...] = dy * (3 * second + x * third)


def _gate(x):
    """Return s of ``gelu_tanh(x) = x * s`` and its first three derivatives by x."""
    scale = 2 * math.sqrt(2 / math.pi)
    v, v1 = scale * (x + 0.044715 * x**3), scale * (1 + 3 * 0.044715 * x**2)
    v2, v3 = scale * 6 * 0.044715 * x, scale * 6 * 0.044715
    s = sigmoid(v)
    by_v = s * sigmoid(-v)  # 1 - s, with all its digits
    by_v2 = by_v * (1 - 2 * s)
    by_v3 = by_v2 * (1 - 2 * s) - 2 * by_v**2
    return s, by_v * v1, by_v2 * v1**2 + by_v * v2, by_v3 * v1**3 + 3 * by_v2 * v1 * v2 + by_v * v3
