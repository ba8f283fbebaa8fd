"""GELU: x times the normal distribution function."""

from chainrule.reference import elementary


def gelu(x, y):
    """``y = x * Phi(x)``, Phi the normal distribution's cumulative."""
    y[...] = x * elementary.normal_cdf(x)


def gelu_backward(dy, x, dx):
    """``dx = dy * (Phi(x) + x * phi(x))``, phi the normal density."""
    dx[...] = dy * (elementary.normal_cdf(x) + x * elementary.normal_pdf(x))


def gelu_second(dy, x, dx):
    """``dx = dy * phi(x) * (2 - x**2)``, phi the normal density."""
    x = elementary.near_zero(x)
    dx[...] = dy * elementary.normal_pdf(x) * (2 - x**2)


def gelu_third(dy, x, dx):
    """``dx = dy * phi(x) * (x**3 - 4 * x)``."""
    x = elementary.near_zero(x)
    dx[...] = dy * elementary.normal_pdf(x) * (x**3 - 4 * x)
