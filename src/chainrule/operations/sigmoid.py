"""The logistic function."""

from chainrule.kernels import elementary
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


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
def sigmoid_second(dy, y, dx):
    one, two = y.dtype.type(1), y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * (one - two * y[i])


@kernel
def sigmoid_third(dy, y, dx):
    two = y.dtype.type(2)
    for i in range(y.size):
        dx[i] = dy[i] * -two


OPERATION = elementwise("sigmoid", sigmoid, sigmoid_backward, sigmoid_second, sigmoid_third)
