"""ReLU: ``max(x, 0)``."""

from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


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


OPERATION = elementwise("relu", relu, relu_backward)
