"""Softplus: ``log(1 + exp(x))``."""

from chainrule.kernels import elementary
from chainrule.kernels.elementary import exp, expm1
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def softplus(x, y):
    for i in range(x.size):
        y[i] = elementary.softplus(x[i])


@kernel
def softplus_backward(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * -expm1(-y[i])


@kernel
def softplus_second(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * exp(-y[i])


@kernel
def softplus_third(dy, y, dx):
    for i in range(y.size):
        dx[i] = dy[i] * -exp(-y[i])


OPERATION = elementwise("softplus", softplus, softplus_backward, softplus_second, softplus_third)
