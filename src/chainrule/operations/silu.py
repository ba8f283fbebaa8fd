"""SiLU: ``x * sigmoid(x)``."""

from chainrule.kernels.elementary import sigmoid
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise


@kernel
def silu(x, y):
    for i in range(x.size):
        y[i] = x[i] * sigmoid(x[i])


@kernel
def silu_backward(dy, x, dx):
    one = x.dtype.type(1)
    for i in range(x.size):
        s = sigmoid(x[i])
        dx[i] = dy[i] * s * (one + x[i] * (one - s))


# With s = sigmoid(x): s' = s * (1 - s), from the smaller of the two, as 1 - s has no digits left
# where s is almost 1; and bend = 1 - 2 * s, so that s'' = s' * bend.


@kernel
def silu_second(dy, x, dx):
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        small = sigmoid(-abs(x[i]))
        bend = one - two * small if x[i] < 0 else two * small - one
        dx[i] = dy[i] * small * (one - small) * (two + x[i] * bend)


@kernel
def silu_third(dy, x, dx):
    one, two, three, six = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3), x.dtype.type(6)
    for i in range(x.size):
        small = sigmoid(-abs(x[i]))
        bend = one - two * small if x[i] < 0 else two * small - one
        slope = small * (one - small)
        dx[i] = dy[i] * slope * (three * bend + x[i] * (one - six * slope))


OPERATION = elementwise("silu", silu, silu_backward, silu_second, silu_third)
