"""Softmax along the last axis."""

import numpy as np


def softmax(x, y):
    """``y = exp(x) / sum(exp(x))`` along each row."""
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    y[...] = exponentials / exponentials.sum(axis=1, keepdims=True)


def softmax_backward(dy, y, dx):
    """``dx = y * (dy - sum(dy * y))``, the Jacobian ``diag(y) - y y^T`` applied to dy."""
    dx[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))
