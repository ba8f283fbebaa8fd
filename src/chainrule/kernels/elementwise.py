"""Loops over a user's function of one number, for layers that are made of one."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from chainrule.kernels.views import flat
from chainrule.kernels.weak import scalar_function

DIFFERENCE = 1e-5
STEP = 1e-100  # of which nothing is lost in x + STEP * i, nor in what is of first order in it


@cache
def loop_forward(function):
    """Return the loop ``y = function(x)``."""
    function = scalar_function(function)

    def forward(x, y):
        x, y = flat(x), flat(y)
        for i in range(x.size):
            y[i] = function(x[i])

    return forward


@cache
def loop_backward(derivative):
    """Return the loop ``dx = dy * derivative(x)``."""
    derivative = scalar_function(derivative)

    def backward(dy, x, dx):
        dy, x, dx = flat(dy), flat(x), flat(dx)
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i])

    return backward


@cache
def loop_backward_from_both(derivative):
    """Return the loop ``dx = dy * derivative(x, y)``."""
    derivative = scalar_function(derivative)

    def backward(dy, x, y, dx):
        dy, x, y, dx = flat(dy), flat(x), flat(y), flat(dx)
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i], y[i])

    return backward


def compiled_complex_step(function: Callable[..., Any]) -> Callable[[float], Any]:
    """Return :func:`complex_step` in a form that can be called, to see what it finds."""
    compiled: Callable[[float], Any] = scalar_function(complex_step(function))
    return compiled


@cache
def complex_step(function):
    """Return the derivative of an analytic function: no difference is taken, so none is rounded.

    W. Squire and G. Trapp, *Using Complex Variables to Estimate Derivatives of Real Functions*,
    SIAM Review 40, 1998.
    """
    function = scalar_function(function)

    def derivative(x):
        x = np.float64(x)
        slope = function(complex(x, STEP)).imag / STEP
        if math.isnan(slope):  # numbers too large for complex arithmetic, such as exp(1000)
            h = DIFFERENCE * max(1.0, abs(x))
            slope = (function(x + h) - function(x - h)) / (2.0 * h)
        return slope

    return derivative
