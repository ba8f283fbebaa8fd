"""GELU, approximated by a tanh."""

import math

from chainrule.kernels.elementary import near_zero, sigmoid
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


@kernel
def gelu_tanh(x, y):
    # (1 + tanh(u)) / 2 = sigmoid(2 * u), which is precise also where it is small
    one = x.dtype.type(1)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        y[i] = x[i] * sigmoid(scale * x[i] * (one + cubic * x[i] * x[i]))


@kernel
def gelu_tanh_backward(dy, x, dx):
    one, three = x.dtype.type(1), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        z = near_zero(x[i])
        square = cubic * z * z
        s = sigmoid(scale * z * (one + square))
        dx[i] = dy[i] * s * (one + (one - s) * scale * z * (one + three * square))


# With s = sigmoid(v): s' = s * (1 - s), from the smaller of the two, as 1 - s has no digits left
# where s is almost 1; and bend = 1 - 2 * s, so that s'' = s' * bend.


@kernel
def gelu_tanh_second(dy, x, dx):
    # y = x * s with s = sigmoid(v), v = scale * (x + cubic * x**3): g' = 2 * s' + x * s''
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        z = near_zero(x[i])
        square = cubic * z * z
        small = sigmoid(-abs(scale * z * (one + square)))
        bend = one - two * small if z < 0 else two * small - one
        slope = small * (one - small)
        v1 = scale * (one + three * square)
        v2 = two * three * scale * cubic * z
        dx[i] = dy[i] * slope * (two * v1 + z * (bend * v1 * v1 + v2))


@kernel
def gelu_tanh_third(dy, x, dx):
    # g'' = 3 * s'' + x * s'''
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        z = near_zero(x[i])
        square = cubic * z * z
        small = sigmoid(-abs(scale * z * (one + square)))
        bend = one - two * small if z < 0 else two * small - one
        slope = small * (one - small)
        v1 = scale * (one + three * square)
        v3 = two * three * scale * cubic
        v2 = v3 * z
        second = bend * v1 * v1 + v2
        third = bend * v1 * (second + two * v2) - two * slope * v1 * v1 * v1 + v3
        dx[i] = dy[i] * slope * (three * second + z * third)


OPERATION = elementwise(
    "gelu_tanh", gelu_tanh, gelu_tanh_backward, gelu_tanh_second, gelu_tanh_third
)
