"""GELU: x times the normal distribution function."""

from chainrule.kernels.elementary import near_zero, normal_cdf, normal_pdf
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def gelu(x, y):
    for i in range(x.size):
        y[i] = x[i] * normal_cdf(x[i])


@kernel
def gelu_backward(dy, x, dx):
    for i in range(x.size):
        dx[i] = dy[i] * (normal_cdf(x[i]) + x[i] * normal_pdf(x[i]))


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


OPERATION = elementwise("gelu", gelu, gelu_backward, gelu_second, gelu_third)
