"""Activations and their derivatives, elementwise over flat vectors, and row by row for softmax.

They must not work in place: where input and output may overlap, LLVM falls back to scalar code.
"""

import math

from chainrule.kernels import elementary
from chainrule.kernels.elementary import exp, expm1, log, near_zero, normal_cdf, normal_pdf
from chainrule.kernels.jit import kernel
from chainrule.kernels.rows import subtract_largest
from chainrule.kernels.views import flat

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


@kernel
def relu(x, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] < zero else x[i]  # a NaN stays a NaN


@kernel
def relu_backward(dy, y, dx):
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else zero


@kernel
def leaky_relu(x, y, slope):
    zero, slope = x.dtype.type(0), x.dtype.type(slope)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else slope * x[i]


@kernel
def leaky_relu_backward(dy, y, dx, slope):
    zero, slope = y.dtype.type(0), y.dtype.type(slope)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else slope * dy[i]


@kernel
def tanh(x, y):
    for i in range(x.size):
        y[i] = elementary.tanh(x[i])


@kernel
def tanh_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@kernel
def sigmoid(x, y):
    for i in range(x.size):
        y[i] = elementary.sigmoid(x[i])


@kernel
def sigmoid_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


@kernel
def softplus(x, y):
    for i in range(x.size):
        y[i] = elementary.softplus(x[i])


@kernel
def softplus_backward(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * -expm1(-y[i])


@kernel
def elu(x, y, alpha):
    zero, alpha = x.dtype.type(0), x.dtype.type(alpha)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else alpha * expm1(x[i])


@kernel
def elu_backward(dy, y, dx, alpha):
    zero, alpha = y.dtype.type(0), y.dtype.type(alpha)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else dy[i] * (y[i] + alpha)


@kernel
def silu(x, y):
    for i in range(x.size):
        y[i] = x[i] * elementary.sigmoid(x[i])


@kernel
def silu_backward(dy, x, dx):
    one = x.dtype.type(1)
    for i in range(x.size):
        s = elementary.sigmoid(x[i])
        dx[i] = dy[i] * s * (one + x[i] * (one - s))


@kernel
def gelu(x, y):
    for i in range(x.size):
        y[i] = x[i] * normal_cdf(x[i])


@kernel
def gelu_backward(dy, x, dx):
    for i in range(x.size):
        dx[i] = dy[i] * (normal_cdf(x[i]) + x[i] * normal_pdf(x[i]))


@kernel
def gelu_tanh(x, y):
    # (1 + tanh(u)) / 2 = sigmoid(2 * u), which is precise also where it is small
    one = x.dtype.type(1)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        y[i] = x[i] * elementary.sigmoid(scale * x[i] * (one + cubic * x[i] * x[i]))


@kernel
def gelu_tanh_backward(dy, x, dx):
    one, three = x.dtype.type(1), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        z = near_zero(x[i])
        square = cubic * z * z
        s = elementary.sigmoid(scale * z * (one + square))
        dx[i] = dy[i] * s * (one + (one - s) * scale * z * (one + three * square))


@kernel
def softmax(x, y):
    subtract_largest(x, y)
    vector = flat(y)
    for k in range(vector.size):
        vector[k] = exp(vector[k])
    for i in range(y.shape[0]):
        row = y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += row[j]
        for j in range(row.size):
            row[j] /= total


@kernel
def softmax_backward(dy, y, dx):
    for i in range(y.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        inner = y.dtype.type(0)
        for j in range(row.size):
            inner += d_row[j] * row[j]
        for j in range(row.size):
            out[j] = row[j] * (d_row[j] - inner)


@kernel
def log_softmax(x, y):
    subtract_largest(x, y)
    for i in range(y.shape[0]):
        row = y[i]
        total = x.dtype.type(0)
        for j in range(row.size):
            total += exp(row[j])
        log_total = log(total)
        for j in range(row.size):
            row[j] -= log_total


@kernel
def log_softmax_backward(dy, y, dx):
    for i in range(y.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        total = y.dtype.type(0)
        for j in range(row.size):
            total += d_row[j]
        for j in range(row.size):
            out[j] = d_row[j] - exp(row[j]) * total
