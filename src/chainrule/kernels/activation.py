"""Activations and their derivatives, elementwise over flat vectors, and row by row for softmax.

They must not work in place: where input and output may overlap, LLVM falls back to scalar code.
"""

import math

from chainrule.kernels.jit import kernel
from chainrule.kernels.scalar import exp, expm1
from chainrule.kernels.scalar import sigmoid as sigmoid_scalar
from chainrule.kernels.scalar import tanh as tanh_scalar

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
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
        y[i] = tanh_scalar(x[i])


@kernel
def tanh_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@kernel
def sigmoid(x, y):
    for i in range(x.size):
        y[i] = sigmoid_scalar(x[i])


@kernel
def sigmoid_backward(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(y.size):
        dx[i] = dy[i] * y[i] * (one - y[i])


@kernel
def softplus(x, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = (x[i] if x[i] > zero else zero) + math.log1p(exp(-abs(x[i])))


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
        y[i] = x[i] * sigmoid_scalar(x[i])


@kernel
def silu_backward(dy, x, dx):
    one = x.dtype.type(1)
    for i in range(x.size):
        s = sigmoid_scalar(x[i])
        dx[i] = dy[i] * s * (one + x[i] * (one - s))


@kernel
def gelu(x, y):
    half, one, scale = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(SQRT_HALF)
    for i in range(x.size):
        y[i] = half * x[i] * (one + math.erf(x[i] * scale))


@kernel
def gelu_backward(dy, x, dx):
    half, one, scale = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(SQRT_HALF)
    density_at_zero = x.dtype.type(INVERSE_SQRT_2PI)
    for i in range(x.size):
        cumulative = half * (one + math.erf(x[i] * scale))
        dx[i] = dy[i] * (cumulative + x[i] * density_at_zero * exp(-half * x[i] * x[i]))


@kernel
def gelu_tanh(x, y):
    half, one = x.dtype.type(0.5), x.dtype.type(1)
    scale, cubic = x.dtype.type(SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        inner = scale * x[i] * (one + cubic * x[i] * x[i])
        y[i] = half * x[i] * (one + tanh_scalar(inner))


@kernel
def gelu_tanh_backward(dy, x, dx):
    half, one, three = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(3)
    scale, cubic = x.dtype.type(SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        square = cubic * x[i] * x[i]
        t = tanh_scalar(scale * x[i] * (one + square))
        slope = (one - t * t) * scale * (one + three * square)
        dx[i] = dy[i] * half * (one + t + x[i] * slope)


@kernel
def softmax(x, y):
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        largest = source[0]
        for j in range(source.size):
            largest = source[j] if source[j] > largest else largest
        total = x.dtype.type(0)
        for j in range(source.size):
            row[j] = exp(source[j] - largest)
            total += row[j]
        for j in range(source.size):
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
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        largest = source[0]
        for j in range(source.size):
            largest = source[j] if source[j] > largest else largest
        total = x.dtype.type(0)
        for j in range(source.size):
            total += exp(source[j] - largest)
        shift = largest + math.log(total)
        for j in range(source.size):
            row[j] = source[j] - shift


@kernel
def log_softmax_backward(dy, y, dx):
    for i in range(y.shape[0]):
        d_row, row, out = dy[i], y[i], dx[i]
        total = y.dtype.type(0)
        for j in range(row.size):
            total += d_row[j]
        for j in range(row.size):
            out[j] = d_row[j] - exp(row[j]) * total
