"""One over the square root, elementwise: what tangents of normalizations are made of."""

from __future__ import annotations

from math import sqrt

from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def rsqrt(x, y):
    one = x.dtype.type(1)
    for i in range(x.size):
        y[i] = one / sqrt(x[i])


@kernel
def rsqrt_backward(dy, y, dx):
    minus_half = y.dtype.type(-0.5)
    for i in range(y.size):
        dx[i] = dy[i] * minus_half * y[i] * y[i] * y[i]


@kernel
def rsqrt_second(dy, y, dx):
    factor = y.dtype.type(-1.5)
    for i in range(y.size):
        dx[i] = dy[i] * factor * y[i] * y[i]


@kernel
def rsqrt_third(dy, y, dx):
    factor = y.dtype.type(-3.0)
    for i in range(y.size):
        dx[i] = dy[i] * factor * y[i]


OPERATION = elementwise("rsqrt", rsqrt, rsqrt_backward, rsqrt_second, rsqrt_third)
