"""Depthwise convolution: each channel is a group of its own."""

import numpy as np

from chainrule.reference.convolution import (
    convolution,
    convolution_backward,
    convolution_backward_parameters,
)

NOTHING = np.empty(0)  # no workspace is needed


def depthwise_convolution(x, weight, bias, window, floor, y):
    """``y = max(x * weight + bias, floor)``, channel by channel; an empty bias is none."""
    convolution(x, weight, bias, _grouped(window, x), floor, NOTHING, y)


def depthwise_convolution_backward(dy, weight, window, adds, dx):
    """Each element of an image gets ``dy * weight`` of all windows that contain it."""
    convolution_backward(dy, weight, _grouped(window, dx), adds, NOTHING, dx)


def depthwise_convolution_backward_weight(x, dy, window, begin, adds, d_weight):
    """Write some rows, from ``begin`` on, of the sums of ``x * dy`` at the kernel's places."""
    grouped, no_bias = _grouped(window, x), NOTHING
    convolution_backward_parameters(x, dy, grouped, begin, adds, NOTHING, d_weight, no_bias)


def _grouped(window, x):
    """Return the window with as many groups as there are channels."""
    return [*window[:8], x.shape[3]]
