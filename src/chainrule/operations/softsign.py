"""Softsign: ``x / (1 + abs(x))``."""

from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def softsign(x, y):
    one = x.dtype.type(1)
    for i in range(x.size):
        y[i] = x[i] / (one + abs(x[i]))


@kernel
def softsign_backward(dy, x, dx):
    one = x.dtype.type(1)
    for i in range(x.size):
        r = one / (one + abs(x[i]))
        dx[i] = dy[i] * r * r


@kernel
def softsign_second(dy, x, dx):
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        r = one / (one + abs(x[i]))
        change = two * r * r * r
        dx[i] = dy[i] * (-change if x[i] > 0 else (change if x[i] < 0 else change - change))


@kernel
def softsign_third(dy, x, dx):
    one, six = x.dtype.type(1), x.dtype.type(6)
    for i in range(x.size):
        r = one / (one + abs(x[i]))
        dx[i] = dy[i] * six * r * r * r * r


OPERATION = elementwise("softsign", softsign, softsign_backward, softsign_second, softsign_third)
