"""The logarithm of softmax along the last axis."""

import numpy as np


def log_softmax(x, y):
    """``y = x - log(sum(exp(x)))`` along each row."""
    shifted = x - x.max(axis=1, keepdims=True)
    y[...] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_softmax_backward(dy, y, dx):
    """``dx = dy - softmax(x) * sum(dy)``, and ``softmax(x) = exp(y)``."""
    dx[...] = dy - np.exp(y) * dy.sum(axis=1, keepdims=True)
