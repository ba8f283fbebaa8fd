"""A weight and maybe a bias for each column."""

import numpy as np


def scale_shift(x, weight, bias, floor, y):
    """``y = max(x * weight + bias, floor)``; an empty bias is none."""
    y[...] = np.maximum(x * weight + bias if bias.size else x * weight, floor)


def scale_shift_by_column(weight, bias, scale, shift):
    """Compose it with ``x * scale + shift``."""
    scale *= weight
    shift *= weight
    if bias.size:
        shift += bias


def scale_shift_backward(dy, x, weight, dx, d_weight, d_bias):
    """``dx = dy * weight``; the sums of ``dy * x`` and of ``dy`` over the rows."""
    dx[...] = dy * weight
    d_weight[...] = (dy * x).sum(axis=0)
    if d_bias.size:
        d_bias[...] = dy.sum(axis=0)
