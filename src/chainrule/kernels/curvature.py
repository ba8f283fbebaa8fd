"""How the activations' derivatives change: what second and third derivatives are made of.

An activation's derivative is a function g of what its backward pass reads, its output y or its
input x. ``*_second`` multiplies by the derivative of g by that, ``*_third`` by the second one.
"""

from chainrule.kernels import elementary
from chainrule.kernels.activation import GELU_CUBIC, SQRT_2_OVER_PI
from chainrule.kernels.elementary import exp, near_zero, normal_pdf
from chainrule.kernels.jit import kernel


@kernel
def tanh_second(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * (-two * y[i])


@kernel
def tanh_third(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * -two


@kernel
def sigmoid_third(dy, y, dx):
    tanh_third(dy, y, dx)


@kernel
def multiply_by_zero(dy, y, dx):
    """Do so for what is piecewise linear; a NaN stays one."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = dy[i] * zero + zero


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


# With s = sigmoid(v): s' = s * (1 - s), from the smaller of the two, as 1 - s has no digits left
# where s is almost 1; and bend = 1 - 2 * s, so that s'' = s' * bend.


@kernel
def silu_second(dy, x, dx):
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        small = elementary.sigmoid(-abs(x[i]))
        bend = one - two * small if x[i] < 0 else two * small - one
        dx[i] = dy[i] * small * (one - small) * (two + x[i] * bend)


@kernel
def silu_third(dy, x, dx):
    one, two, three, six = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3), x.dtype.type(6)
    for i in range(x.size):
        small = elementary.sigmoid(-abs(x[i]))
        bend = one - two * small if x[i] < 0 else two * small - one
        slope = small * (one - small)
        dx[i] = dy[i] * slope * (three * bend + x[i] * (one - six * slope))


@kernel
def gelu_second(dy, x, dx):
    two = x.dtype.type(2)
    for i in range(x.size):
        z = near_zero(x[i])
        dx[i] = dy[i] * normal_pdf(z) * (two - z * z)


@kernel
def gelu_third(dy, x, dx):
    four = x.dtype.type(4)
    for i in range(x.size):
        z = near_zero(x[i])
        dx[i] = dy[i] * normal_pdf(z) * z * (z * z - four)


@kernel
def gelu_tanh_second(dy, x, dx):
    # y = x * s with s = sigmoid(v), v = scale * (x + cubic * x**3): g' = 2 * s' + x * s''
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    scale, cubic = x.dtype.type(2.0 * SQRT_2_OVER_PI), x.dtype.type(GELU_CUBIC)
    for i in range(x.size):
        z = near_zero(x[i])
        square = cubic * z * z
        small = elementary.sigmoid(-abs(scale * z * (one + square)))
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
        small = elementary.sigmoid(-abs(scale * z * (one + square)))
        bend = one - two * small if z < 0 else two * small - one
        slope = small * (one - small)
        v1 = scale * (one + three * square)
        v3 = two * three * scale * cubic
        v2 = v3 * z
        second = bend * v1 * v1 + v2
        third = bend * v1 * (second + two * v2) - two * slope * v1 * v1 * v1 + v3
        dx[i] = dy[i] * slope * (three * second + z * third)


@kernel
def sum_along_rows(x, y):
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(source.size):
            total += source[j]
        for j in range(source.size):
            row[j] = total
