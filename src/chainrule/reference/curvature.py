"""How the activations' derivatives change: what second and third derivatives are made of.

An activation's derivative is a function g of what its backward pass reads, its output y or its
input x. ``*_second`` multiplies by the derivative of g by that, ``*_third`` by the second one.
"""

import math

import numpy as np

from chainrule.reference import elementary


def tanh_second(dy, y, dx):
    """``g(y) = 1 - y**2``, so that ``dx = dy * -2 * y``."""
    dx[...] = dy * (-2 * y)


def tanh_third(dy, y, dx):
    """``g''(y) = -2``."""
    dx[...] = dy * -2


def sigmoid_third(dy, y, dx):
    """``g''(y) = -2``."""
    dx[...] = dy * -2


def multiply_by_zero(dy, y, dx):
    """``g'`` of what is piecewise linear."""
    dx[...] = dy * 0


def sigmoid_second(dy, y, dx):
    """``g(y) = y * (1 - y)``, so that ``dx = dy * (1 - 2 * y)``."""
    dx[...] = dy * (1 - 2 * y)


def softplus_second(dy, y, dx):
    """``g(y) = 1 - exp(-y)``, so that ``dx = dy * exp(-y)``."""
    dx[...] = dy * np.exp(-y)


def softplus_third(dy, y, dx):
    """``dx = dy * -exp(-y)``."""
    dx[...] = dy * -np.exp(-y)


def elu_second(dy, y, dx):
    """``g(y) = y + alpha`` where y is not positive, else 1; so that ``dx = dy`` there, else 0."""
    dx[...] = np.where(y > 0, 0, dy)


def silu_second(dy, x, dx):
    """``dx = dy * s' * (2 + x * (1 - 2 * s))`` with ``s = sigmoid(x)`` and its slope s'."""
    s, slope = elementary.sigmoid(x), _slope_of_sigmoid(x)
    dx[...] = dy * slope * (2 + x * (1 - 2 * s))


def silu_third(dy, x, dx):
    """``dx = dy * s' * (3 * (1 - 2 * s) + x * (1 - 6 * s'))`` with ``s' = s * (1 - s)``."""
    s, slope = elementary.sigmoid(x), _slope_of_sigmoid(x)
    dx[...] = dy * slope * (3 * (1 - 2 * s) + x * (1 - 6 * slope))


def _slope_of_sigmoid(x):
    """Return ``s * (1 - s)``, and ``1 - s = sigmoid(-x)``, which has all its digits."""
    return elementary.sigmoid(x) * elementary.sigmoid(-x)


def gelu_second(dy, x, dx):
    """``dx = dy * phi(x) * (2 - x**2)``, phi the normal density."""
    x = elementary.near_zero(x)
    dx[...] = dy * elementary.normal_pdf(x) * (2 - x**2)


def gelu_third(dy, x, dx):
    """``dx = dy * phi(x) * (x**3 - 4 * x)``."""
    x = elementary.near_zero(x)
    dx[...] = dy * elementary.normal_pdf(x) * (x**3 - 4 * x)


def gelu_tanh_second(dy, x, dx):
    """``dx = dy * (2 * s' + x * s'')`` with ``s = sigmoid(v)``, since ``gelu_tanh(x) = x * s``."""
    x = elementary.near_zero(x)
    _, first, second, _ = _gate(x)
    dx[...] = dy * (2 * first + x * second)


def gelu_tanh_third(dy, x, dx):
    """``dx = dy * (3 * s'' + x * s''')``."""
    x = elementary.near_zero(x)
    _, _, second, third = _gate(x)
    dx[...] = dy * (3 * second + x * third)


def _gate(x):
    """Return s of ``gelu_tanh(x) = x * s`` and its first three derivatives by x."""
    scale = 2 * math.sqrt(2 / math.pi)
    v, v1 = scale * (x + 0.044715 * x**3), scale * (1 + 3 * 0.044715 * x**2)
    v2, v3 = scale * 6 * 0.044715 * x, scale * 6 * 0.044715
    s = elementary.sigmoid(v)
    by_v = _slope_of_sigmoid(v)
    by_v2 = by_v * (1 - 2 * s)
    by_v3 = by_v2 * (1 - 2 * s) - 2 * by_v**2
    return s, by_v * v1, by_v2 * v1**2 + by_v * v2, by_v3 * v1**3 + 3 * by_v2 * v1 * v2 + by_v * v3


def sum_along_rows(x, y):
    """Give each element of y the sum of its row of x; its backward pass is the same again."""
    y[...] = x.sum(axis=1, keepdims=True)
