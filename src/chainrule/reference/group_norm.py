"""Group normalization: the channels of each group to mean 0 and variance 1, in each sample."""

import numpy as np


def _in_groups(x, groups, channels):
    """Return a sample's places, groups, and channels of a group as axes of their own."""
    return x.reshape(len(x), -1, groups, channels // groups)


def add_up_groups(sums, groups, count):
    """Replace each channel's sum by its group's, divided by a count."""
    of_groups = sums.reshape(groups, -1)
    of_groups[...] = of_groups.sum(axis=1, keepdims=True) / count


def group_norm(x, groups, channels, eps, scratch, y, scale):
    """``y = (x - mean) * scale`` with ``scale = 1 / sqrt(variance + eps)``, group by group."""
    x = _in_groups(x, groups, channels)
    scale[...] = 1 / np.sqrt(x.var(axis=(1, 3)) + eps)
    mean = x.mean(axis=(1, 3), keepdims=True)
    _in_groups(y, groups, channels)[...] = (x - mean) * scale[:, np.newaxis, :, np.newaxis]


def group_norm_backward(dy, y, groups, channels, scale, scratch, dx):
    """``dx = (dy - mean(dy) - y * mean(dy * y)) * scale``."""
    dy, y = _in_groups(dy, groups, channels), _in_groups(y, groups, channels)
    of_dy, of_y = (array.mean(axis=(1, 3), keepdims=True) for array in (dy, dy * y))
    scale = scale[:, np.newaxis, :, np.newaxis]
    _in_groups(dx, groups, channels)[...] = (dy - of_dy - y * of_y) * scale
