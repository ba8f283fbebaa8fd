"""How the activations' derivatives change: what second and third derivatives are made of.

An activation's derivative is a function g of what its backward pass reads, its output y or its
input x. ``*_second`` multiplies by the derivative of g by that, ``*_third`` by the second one.
"""

from chainrule.kernels import elementary
from chainrule.kernels.activation import GELU_CUBIC, INVERSE_SQRT_2PI, SQRT_2_OVER_PI
from chainrule.kernels.elementary import exp
from chainrule.kernels.jit import kernel


@kernel
def tanh_second(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * (-two * y[i])


@kernel
def sigmoid_second(dy, y, dx):
    one, two = y.dtype.type(1), y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * (one - two * y[i])


@kernel
def softplus_second(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * exp(-y[i])


@kernel
def softplus_third(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * -exp(-y[i])


@kernel
def elu_second(dy, y, dx):
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = zero if y[i] > zero else dy[i]


@kernel
def silu_second(dy, x, dx):
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        s = elementary.sigmoid(x[i])
        dx[i] = dy[i] * s * (one - s) * (two + x[i] * (one - two * s))


@kernel
def silu_third(dy, x, dx):
    one, two, three, six = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3), x.dtype.type(6)
    for i in range(x.size):
        s = elementary.sigmoid(x[i])
        slope = s * (one - s)
        dx[i] = dy[i] * slope * (three * (one - two * s) + x[i] * (one - six * slope))


@kernel
def gelu_second(dy, x, dx):
    half, two = x.dtype.type(0.5), x.dtype.type(2)
    density_at_zero = x.dtype.type(INVERSE_SQRT_2PI)
    for i in range(x.size):
        square = x[i] * x[i]
        dx[i] = dy[i] * density_at_zero * exp(-half * square) * (two - square)


@kernel
def gelu_third(dy, x, dx):
    half, four = x.dtype.type(0.5), x.dtype.type(4)
    density_at_zero = x.dtype.type(INVERSE_SQRT_2PI)
    for i in range(x.size):
        square = x[i] * x[i]
        dx[i] = dy[i] * density_at_zero * exp(-half * square) * x[i] * (square - four)


@kernel
def gelu_tanh_second(dy, x, dx):
    # y = x * s with s = sigmoid(v), v = scale * (x + cubic * x**3): g' = 2 * s' + x * s''
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        square = cubic * x[i] * x[i]
        s = elementary.sigmoid(scale * x[i] * (one + square))
        slope, bend = s * (one - s), one - two * s
        v1 = scale * (one + three * square)
        v2 = two * three * scale * cubic * x[i]
        dx[i] = dy[i] * slope * (two * v1 + x[i] * (bend * v1 * v1 + v2))


@kernel
def gelu_tanh_third(dy, x, dx):
    # g'' = 3 * s'' + x * s'''
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        square = cubic * x[i] * x[i]
        s = elementary.sigmoid(scale * x[i] * (one + square))
        slope, bend = s * (one - s), one - two * s
        v1 = scale * (one + three * square)
        v3 = two * three * scale * cubic
        v2 = v3 * x[i]
        second = bend * v1 * v1 + v2
        third = bend * v1 * (second + two * v2) - two * slope * v1 * v1 * v1 + v3
        dx[i] = dy[i] * slope * (three * second + x[i] * third)


@kernel
def sum_along_rows(x, y):
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(source.size):
            total += source[j]
        for j in range(source.size):
            row[j] = total
