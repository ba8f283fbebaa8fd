"""Hardswish: ``x * min(max(x + 3, 0), 6) / 6``."""

from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def hardswish(x, y):
    zero, three, sixth = x.dtype.type(0), x.dtype.type(3), x.dtype.type(1 / 6)
    for i in range(x.size):
        bent = x[i] * (x[i] + three) * sixth
        y[i] = zero if x[i] <= -three else (x[i] if x[i] >= three else bent)


@kernel
def hardswish_backward(dy, x, dx):
    zero, three = x.dtype.type(0), x.dtype.type(3)
    root, third = x.dtype.type(1.5), x.dtype.type(1 / 3)
    for i in range(x.size):
        slope = (x[i] + root) * third
        dx[i] = zero if x[i] <= -three else (dy[i] if x[i] >= three else dy[i] * slope)


@kernel
def hardswish_second(dy, x, dx):
    zero, three, third = x.dtype.type(0), x.dtype.type(3), x.dtype.type(1 / 3)
    for i in range(x.size):
        dx[i] = zero if abs(x[i]) >= three else dy[i] * third


OPERATION = elementwise("hardswish", hardswish, hardswish_backward, hardswish_second)
