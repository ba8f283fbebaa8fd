"""Convolution: each window of an image times a weight, and the derivatives.

``window`` are the kernel's height and width; strides, paddings before an image and dilations in the
same order; and the number of groups. All windows' elements at one place of the kernel make a
matrix, so that there is a product for each place.
"""

import numpy as np


def convolution(x, weight, bias, window, floor, scratch, y):
    """``y = max(x * weight + bias, floor)``; an empty bias is none."""
    y[...] = 0
    for elements, of_weight, of_y in _places(_padded(x, y, window), y, window):
        y[of_y] += elements @ weight[of_weight]
    np.maximum(y + bias if bias.size > 0 else y, floor, out=y)


def convolution_backward(dy, weight, window, adds, scratch, dx):
    """Each element of an image gets ``dy @ weight.T`` of all windows that contain it."""
    images = _padded(np.zeros_like(dx), dy, window)
    for elements, of_weight, of_y in _places(images, dy, window):
        elements += dy[of_y] @ weight[of_weight].T
    top, left = map(int, window[4:6])
    inner = images[:, top : top + dx.shape[1], left : left + dx.shape[2]]
    dx[...] = dx + inner if adds else inner


def convolution_backward_parameters(x, dy, window, begin, adds, scratch, d_weight, d_bias):
    """``d_weight = windows.T @ dy``, its rows from ``begin`` on, and ``d_bias = sum(dy)``.

    Sums are over all windows. An array without elements is not wanted.
    """
    if d_bias.size:
        convolution_backward_bias(dy, adds, d_bias)
    if not d_weight.size:
        return
    kernel_height, kernel_width = map(int, window[:2])
    channels = x.shape[3] // int(window[8])
    whole = np.zeros((kernel_height * kernel_width * channels, dy.shape[3]), dy.dtype)
    for elements, of_weight, of_y in _places(_padded(x, dy, window), dy, window):
        whole[of_weight] = np.tensordot(elements, dy[of_y], axes=([0, 1, 2], [0, 1, 2]))
    part = whole[begin : begin + len(d_weight)]
    d_weight[...] = d_weight + part if adds else part


def convolution_backward_bias(dy, adds, d_bias):
    """``d_bias = sum(dy)`` over all pixels."""
    total = dy.sum(axis=(0, 1, 2))
    d_bias[...] = d_bias + total if adds else total


def _padded(x, y, window):
    """Return images with the zeros that their windows, as many as y has pixels, need."""
    height, width, stride_y, stride_x, top, left, dilation_y, dilation_x, _ = map(int, window)
    n, rows, columns, channels = x.shape
    last_row = (y.shape[1] - 1) * stride_y + (height - 1) * dilation_y
    last_column = (y.shape[2] - 1) * stride_x + (width - 1) * dilation_x
    lengths = max(last_row + 1, top + rows), max(last_column + 1, left + columns)
    images = np.zeros((n, *lengths, channels), x.dtype)
    images[:, top : top + rows, left : left + columns] = x
    return images


def _places(images, y, window):
    """Yield, place by place and group by group, views of all windows' elements at the place.

    With each, the part of the weight that they are multiplied by, and the part of y.
    """
    height, width, stride_y, stride_x, _, _, dilation_y, dilation_x, groups = map(int, window)
    channels, outputs = images.shape[3] // groups, y.shape[3] // groups
    for i, j, g in np.ndindex(height, width, groups):
        rows = slice(i * dilation_y, i * dilation_y + (y.shape[1] - 1) * stride_y + 1, stride_y)
        columns = slice(j * dilation_x, j * dilation_x + (y.shape[2] - 1) * stride_x + 1, stride_x)
        own = slice(g * channels, (g + 1) * channels)
        outs = slice(g * outputs, (g + 1) * outputs)
        place = (i * width + j) * channels
        of_weight = slice(place, place + channels), outs
        yield images[:, rows, columns, own], of_weight, (..., outs)
