"""ELU: x, or ``alpha * (exp(x) - 1)`` where x is negative."""

from chainrule.kernels.elementary import expm1
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def elu(x, y, alpha):
    zero, alpha = x.dtype.type(0), x.dtype.type(alpha)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else alpha * expm1(x[i])


@kernel
def elu_backward(dy, y, dx, alpha):
    zero, alpha = y.dtype.type(0), y.dtype.type(alpha)
    for i in range(y.size):
        dx[i] = dy[i] if y[i] > zero else dy[i] * (y[i] + alpha)


@kernel
def elu_second(dy, y, dx):
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = zero if y[i] > zero else dy[i]


OPERATION = elementwise("elu", elu, elu_backward, elu_second)
