"""Layer normalization: each row to mean 0 and variance 1."""

import numpy as np


def layer_norm(x, eps, y, scale):
    """``y = (x - mean) * scale`` with ``scale = 1 / sqrt(variance + eps)``, row by row."""
    scale[:, 0] = 1 / np.sqrt(x.var(axis=1) + eps)
    y[...] = (x - x.mean(axis=1, keepdims=True)) * scale


def layer_norm_backward(dy, y, scale, dx):
    """``dx = (dy - mean(dy) - y * mean(dy * y)) * scale``."""
    of_y = (dy * y).mean(axis=1, keepdims=True)
    dx[...] = (dy - dy.mean(axis=1, keepdims=True) - y * of_y) * scale
