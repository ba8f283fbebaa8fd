"""Transposed convolution: to a convolution what the gradient by its input is.

The weight and ``window`` are those of the convolution from y to x.
"""

import numpy as np

from chainrule.reference.convolution import (
    convolution,
    convolution_backward,
    convolution_backward_parameters,
)


def transposed_convolution(x, weight, bias, window, floor, scratch, y):
    """Each pixel of y gets ``x @ weight.T`` of all windows that contain it, and the bias."""
    convolution_backward(x, weight, window, 0, scratch, y)
    np.maximum(y + bias if bias.size > 0 else y, floor, out=y)


def transposed_convolution_backward(dy, weight, window, scratch, dx):
    """``dx`` is the convolution of dy."""
    convolution(dy, weight, np.empty(0, dy.dtype), window, -np.inf, scratch, dx)


def transposed_convolution_backward_weight(x, dy, window, begin, adds, scratch, d_weight):
    """``d_weight`` is the convolution's: the pixels of x belong to windows of dy."""
    no_bias = np.empty(0)  # that of the convolution has as many numbers as x has channels
    convolution_backward_parameters(dy, x, window, begin, adds, scratch, d_weight, no_bias)
