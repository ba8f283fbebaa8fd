"""Mish: ``x * tanh(softplus(x))``."""

from chainrule.kernels.elementary import exp
from chainrule.kernels.jit import kernel
from chainrule.operations.elementwise import elementwise

FLAT = 1000.0  # beyond, exp(-abs(x)) is 0 in both precisions, and products with x overflow


@kernel(inline=True)
def _parts(x, i):
    """Return t = tanh(softplus(x[i])), its slope, and sigmoid(x[i]) and sigmoid(-x[i])."""
    one, two = x.dtype.type(1), x.dtype.type(2)
    z = exp(-abs(x[i]))
    # t = n / (n + 2) with n = e * (e + 2), e = exp(x); for x > 0 both are divided by e**2.
    n = z * (z + two) if x[i] < 0 else one + two * z
    rest = two if x[i] < 0 else two * z * z
    large, small = one / (one + z), z / (one + z)
    s = small if x[i] < 0 else large
    c = large if x[i] < 0 else small
    t = n / (n + rest)
    return t, rest / (n + rest) * (one + t) * s, s, c


@kernel(inline=True)
def _within(x, i):
    limit = x.dtype.type(FLAT)
    return limit if x[i] > limit else (-limit if x[i] < -limit else x[i])


@kernel
def mish(x, y):
    for i in range(x.size):
        y[i] = x[i] * _parts(x, i)[0]


@kernel
def mish_backward(dy, x, dx):
    for i in range(x.size):
        v = _within(x, i)
        t, slope, _, _ = _parts(x, i)
        dx[i] = dy[i] * (t + v * slope)


# With s = sigmoid(x): t' = (1 - t**2) * s, and t'' = t' * bend with bend = 1 - s - 2 * t * s.


@kernel
def mish_second(dy, x, dx):
    two = x.dtype.type(2)
    for i in range(x.size):
        v = _within(x, i)
        t, slope, s, c = _parts(x, i)
        bend = c - two * t * s
        dx[i] = dy[i] * slope * (two + v * bend)


@kernel
def mish_third(dy, x, dx):
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    for i in range(x.size):
        v = _within(x, i)
        t, slope, s, c = _parts(x, i)
        bend = c - two * t * s
        further = bend * bend - s * c * (one + two * t) - two * slope * s
        dx[i] = dy[i] * slope * (three * bend + v * further)


OPERATION = elementwise("mish", mish, mish_backward, mish_second, mish_third)
