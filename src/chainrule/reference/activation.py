"""Activations and their derivatives.

``x`` is the input, ``y`` the output, ``dy`` and ``dx`` the loss's gradients by them. Derivatives
are written by the output where that is all they need.
"""

import math

import numpy as np

from chainrule.reference import elementary


def relu(x, y):
    """``y = max(x, 0)``."""
    np.maximum(x, 0, out=y)


def relu_backward(dy, y, dx):
    """``dx = dy`` where the output is positive, else 0."""
    dx[...] = np.where(y > 0, dy, 0)


def leaky_relu(x, y, slope):
    """``y = x`` where x is positive, else ``slope * x``."""
    y[...] = np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy, y, dx, slope):
    """``dx = dy`` where the output is positive, else ``slope * dy``."""
    dx[...] = np.where(y > 0, dy, slope * dy)


def tanh(x, y):
    """``y = tanh(x)``."""
    np.tanh(x, out=y)


def tanh_backward(dy, y, dx):
    """``dx = dy * (1 - tanh(x)**2)``."""
    dx[...] = dy * (1 - y * y)


def sigmoid(x, y):
    """``y = 1 / (1 + exp(-x))``."""
    y[...] = elementary.sigmoid(x)


def sigmoid_backward(dy, y, dx):
    """``dx = dy * sigmoid(x) * (1 - sigmoid(x))``."""
    dx[...] = dy * y * (1 - y)


def softplus(x, y):
    """``y = log(1 + exp(x))``."""
    y[...] = elementary.softplus(x)


def softplus_backward(dy, y, dx):
    """``dx = dy * sigmoid(x)``, and ``sigmoid(x) = 1 - exp(-softplus(x))``."""
    dx[...] = dy * -np.expm1(-y)


def elu(x, y, alpha):
    """``y = x`` where x is positive, else ``alpha * (exp(x) - 1)``."""
    y[...] = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dy, y, dx, alpha):
    """``dx = dy`` where the output is positive, else ``dy * alpha * exp(x) = dy * (y + alpha)``."""
    dx[...] = np.where(y > 0, dy, dy * (y + alpha))


def silu(x, y):
    """``y = x * sigmoid(x)``."""
    y[...] = x * elementary.sigmoid(x)


def silu_backward(dy, x, dx):
    """``dx = dy * (s + x * s * (1 - s))`` with ``s = sigmoid(x)``."""
    s = elementary.sigmoid(x)
    dx[...] = dy * s * (1 + x * (1 - s))


def gelu(x, y):
    """``y = x * Phi(x)``, Phi the normal distribution's cumulative."""
    y[...] = x * elementary.normal_cdf(x)


def gelu_backward(dy, x, dx):
    """``dx = dy * (Phi(x) + x * phi(x))``, phi the normal density."""
    dx[...] = dy * (elementary.normal_cdf(x) + x * elementary.normal_pdf(x))


def gelu_tanh(x, y):
    """``y = x / 2 * (1 + tanh(u))`` with ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)``.

    ``(1 + tanh(u)) / 2 = sigmoid(2 * u)``, which is precise also where it is small.
    """
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    y[...] = x * elementary.sigmoid(2 * u)


def gelu_tanh_backward(dy, x, dx):
    """``dx = dy * (s + x * s * (1 - s) * 2 * du/dx)`` with ``s = sigmoid(2 * u)``."""
    x = elementary.near_zero(x)
    s = elementary.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    du_dx = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    dx[...] = dy * s * (1 + x * (1 - s) * 2 * du_dx)


def softmax(x, y):
    """``y = exp(x) / sum(exp(x))`` along each row."""
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    y[...] = exponentials / exponentials.sum(axis=1, keepdims=True)


def softmax_backward(dy, y, dx):
    """``dx = y * (dy - sum(dy * y))``, the Jacobian ``diag(y) - y y^T`` applied to dy."""
    dx[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))


def log_softmax(x, y):
    """``y = x - log(sum(exp(x)))`` along each row."""
    shifted = x - x.max(axis=1, keepdims=True)
    y[...] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_softmax_backward(dy, y, dx):
    """``dx = dy - softmax(x) * sum(dy)``, and ``softmax(x) = exp(y)``."""
    dx[...] = dy - np.exp(y) * dy.sum(axis=1, keepdims=True)
