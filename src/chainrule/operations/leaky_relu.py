"""Leaky ReLU: x, or ``negative_slope * x`` where x is negative."""

from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def leaky_relu(x, y, negative_slope):
    zero, slope = x.dtype.type(0), x.dtype.type(negative_slope)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else slope * x[i]


@kernel
def leaky_relu_backward(dy, y, dx, negative_slope):
    zero, slope = y.dtype.type(0), y.dtype.type(negative_slope)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else slope * dy[i]


OPERATION = elementwise("leaky_relu", leaky_relu, leaky_relu_backward)
