"""The hyperbolic tangent."""

from chainrule.kernels import elementary
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


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
def tanh_second(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * (-two * y[i])


@kernel
def tanh_third(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * -two


OPERATION = elementwise("tanh", tanh, tanh_backward, tanh_second, tanh_third)
