"""Loops over a user's function of one number, for layers that are made of one."""

import math
from functools import lru_cache, wraps

import numpy as np

from chainrule.kernels.jit import user_function
from chainrule.kernels.same import MOST_KEPT, canonical
from chainrule.kernels.views import flat
from chainrule.kernels.weak import scalar_function

DIFFERENCE = 1e-5
STEP = 1e-100  # of which nothing is lost in x + STEP * i, nor in what is of first order in it


def _for_each(make):
    """Let functions that compile to the same code have the same loop."""
    kept = lru_cache(MOST_KEPT)(make)
    return wraps(make)(lambda function: kept(canonical(function)))


@_for_each
def loop_forward(function):
    """Return the loop ``y = function(x)``."""
    function = scalar_function(function)

    def forward(x, y):
        x, y = flat(x), flat(y)
        for i in range(x.size):
            y[i] = function(x[i])

    return forward


@_for_each
def loop_backward(derivative):
    """Return the loop ``dx = dy * derivative(x)``."""
    derivative = scalar_function(derivative)

    def backward(dy, x, dx):
        dy, x, dx = flat(dy), flat(x), flat(dx)
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i])

    return backward


@_for_each
def loop_backward_from_both(derivative):
    """Return the loop ``dx = dy * derivative(x, y)``."""
    derivative = scalar_function(derivative)

    def backward(dy, x, y, dx):
        dy, x, y, dx = flat(dy), flat(x), flat(y), flat(dx)
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i], y[i])

    return backward


@_for_each
def complex_step(function):
    """Return the derivative of an analytic function: no difference is taken, so none is rounded.

    It is a function of x and of y, the function's value there, and computes in double precision
    whatever that of x is: in single precision, the step would be 0.

    W. Squire and G. Trapp, *Using Complex Variables to Estimate Derivatives of Real Functions*,
    SIAM Review 40, 1998.
    """
    function = scalar_function(function)

    def derivative(x, y):
        if math.isnan(y):  # out of the domain, where complex numbers may have a value
            return math.nan
        x = np.float64(x)
        slope = function(complex(x, STEP)).imag / STEP
        if not math.isfinite(slope):  # too large for complex arithmetic, such as exp(1000)
            h = DIFFERENCE * max(1.0, abs(x))
            slope = (function(x + h) - function(x - h)) / (2.0 * h)
        return slope

    # Reordered, the division by the step would come first, and overflow.
    return user_function(derivative, fastmath=False)
