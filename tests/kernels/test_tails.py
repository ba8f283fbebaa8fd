"""Activations and their derivatives over the whole range, against mpmath, to a relative error."""

import inspect
from importlib import import_module

import mpmath
import numpy as np
import pytest

from chainrule.kernels.jit import JIT_DISABLED
from chainrule.layers.activation import Elementwise
from chainrule.operations.elementwise import tangent_of_elementwise
from chainrule.operations.operation import all_operations

pytestmark = pytest.mark.once

CUBIC = mpmath.mpf("0.044715")
ARGUMENTS = {"leaky_relu": (0.25,), "elu": (1.0,)}  # that are exact, and where they are needed


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x)) if x >= 0 else mpmath.exp(x) / (1 + mpmath.exp(x))


def cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2 if x > -1e6 else mpmath.mpf(0)


def gelu_tanh(x):
    return x * sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (x + CUBIC * x**3))


def gelu_tanh_slope(x):
    v = 2 * mpmath.sqrt(2 / mpmath.pi) * (x + CUBIC * x**3)
    v1 = 2 * mpmath.sqrt(2 / mpmath.pi) * (1 + 3 * CUBIC * x**2)
    return sigmoid(v) * (1 + x * sigmoid(-v) * v1)


def mish_tanh(x):
    n = mpmath.exp(x) * (mpmath.exp(x) + 2)
    return n / (n + 2)


def hardswish(x):
    return x * min(max(x + 3, 0), 6) / 6


def hardswish_slope(x):
    return mpmath.mpf(x > 0) if abs(x) >= 3 else x / 3 + mpmath.mpf(1) / 2


# Each function of one number, and its slope.
EXACT = {
    "relu": (lambda x: max(x, 0), lambda x: mpmath.mpf(x > 0)),
    "leaky_relu": (lambda x: x if x > 0 else x / 4, lambda x: mpmath.mpf(1 if x > 0 else 0.25)),
    "tanh": (mpmath.tanh, lambda x: 1 / mpmath.cosh(x) ** 2),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), sigmoid),
    "elu": (
        lambda x: x if x > 0 else mpmath.expm1(x),
        lambda x: mpmath.mpf(1) if x > 0 else mpmath.exp(x),
    ),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    "gelu": (lambda x: x * cdf(x), lambda x: cdf(x) + x * mpmath.npdf(x)),
    "gelu_tanh": (gelu_tanh, gelu_tanh_slope),
    "mish": (
        lambda x: x * mish_tanh(x),
        lambda x: mish_tanh(x) + x * (1 - mish_tanh(x) ** 2) * sigmoid(x),
    ),
    "hardswish": (hardswish, hardswish_slope),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2),
}
# Slopes that come from the output, which is 1 or -1 long before they are 0: it holds them to its
# own precision, and not to theirs.
FROM_OUTPUT = {"tanh", "sigmoid", "elu"}
ROOTS = {
    "silu": -1.2784645427610738,
    "gelu": -0.7517915246935645,
    "gelu_tanh": -0.752461,
    "mish": -1.1924312,
    "hardswish": -1.5,
}

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_name = pytest.mark.parametrize("name", EXACT)


def points(dtype):
    """Numbers of all sizes, more of them where functions bend, up to where exp is 0 or infinite."""
    last = 104 if dtype == np.float32 else 745
    ends = np.geomspace(1e-30, 0.9 * float(np.finfo(dtype).max), 121)
    parts = [np.linspace(-last, last, 301), np.linspace(-15, 15, 301), ends, -ends, [-7.0]]
    return np.unique(np.concatenate(parts)).astype(dtype)


def test_every_activation_is_here():
    elementwise = {
        name
        for name, operation in all_operations().items()
        if getattr(operation, "tangent", None) is tangent_of_elementwise
    }
    assert elementwise == {*EXACT}
    assert {layer.operation for layer in Elementwise.__subclasses__()} <= {*EXACT}


def errors(values, exact, x, slack):
    """Return the errors in epsilons of the exact value, where that is a normal number."""
    info = np.finfo(values.dtype)
    found = []
    for value, right, at in zip(values.tolist(), exact, x.tolist(), strict=True):
        if abs(right) < info.tiny and not slack(at):
            assert abs(value) <= info.tiny
            continue
        error = abs(mpmath.mpf(value) - right) / float(info.eps)
        found.append(float(error / (abs(right) + slack(at))))
    return max(found)


def both(name):
    """Return the compiled function and its twin."""
    operation = name
    for end in ("_backward", "_second", "_third"):
        operation = operation.removesuffix(end)
    return [
        getattr(import_module(f"chainrule.{package}.{operation}"), name)
        for package in ("operations", "reference")
    ]


@each_dtype
@each_name
def test_activation(name, dtype):
    x, arguments = points(dtype), ARGUMENTS.get(name, ())
    with mpmath.workdps(60):
        exact = [EXACT[name][0](mpmath.mpf(float(number))) for number in x]
        for function in both(name):
            y = np.empty_like(x)
            with np.errstate(all="ignore"):
                function(x, y, *arguments)
            # Half a unit in an exponent counts as often as it is large.
            limit = 8 + 1.5 * exponent(name, dtype)
            assert errors(y, exact, x, lambda at: 0) <= limit


@each_dtype
@each_name
def test_derivative(name, dtype):
    x, arguments = points(dtype), ARGUMENTS.get(name, ())
    with mpmath.workdps(60):
        exact = [EXACT[name][1](mpmath.mpf(float(number))) for number in x]
        for forward, backward in zip(both(name), both(f"{name}_backward"), strict=True):
            y, dx = np.empty_like(x), np.empty_like(x)
            takes_x = "x" in inspect.signature(getattr(backward, "py_func", backward)).parameters
            with np.errstate(all="ignore"):
                forward(x, y, *arguments)
                backward(np.ones_like(x), x if takes_x else y, dx, *arguments)
            limit = 8 + 1.5 * exponent(name, dtype)
            assert errors(dx, exact, x, slack_of(name)) <= limit


FURTHER = [
    f"{name}_{order}"
    for name in ("silu", "gelu", "gelu_tanh", "mish")
    for order in ("second", "third")
]


@each_dtype
@pytest.mark.parametrize("name", FURTHER)
def test_further_derivatives(name, dtype):
    activation_name, _, order = name.rpartition("_")
    slope, n = EXACT[activation_name][1], ("second", "third").index(order) + 1
    x = points(dtype)
    near = np.arange(-12, 13, 0.5).astype(dtype)
    with mpmath.workdps(120):
        exact = [mpmath.diff(slope, mpmath.mpf(float(number)), n) for number in near]
        for function in both(name):
            with np.errstate(all="ignore"):
                values, everywhere = np.empty_like(near), np.empty_like(x)
                function(np.ones_like(near), near, values)
                function(np.ones_like(x), x, everywhere)
            # Sums of terms of both signs.
            assert errors(values, exact, near, lambda at: 0.1 if abs(at) < 4 else 0) <= 300
            assert np.isfinite(everywhere).all()
            far = 745 if activation_name in ("silu", "mish") else 40
            assert (abs(everywhere[abs(x) > far]) <= np.finfo(dtype).tiny).all()


def exponent(name, dtype):
    """Return the largest exponent whose rounding an error has to allow for."""
    if name in ("gelu_tanh", "silu", "mish") or (
        name == "gelu" and (JIT_DISABLED or dtype == np.float64)
    ):
        return 104 if dtype == np.float32 else 745
    return 0


def slack_of(name):
    """Return what an error may be relative to beside the slope itself, at each number."""
    if name in FROM_OUTPUT:
        return lambda at: 1.0
    if name in ROOTS:  # where the slope is a difference
        return lambda at: 0.1 if abs(at - ROOTS[name]) < 0.5 else 0.0
    return lambda at: 0.0


@each_dtype
def test_the_tail_of_gelu(dtype):
    x = np.array([-7.0, -6.0, -10.0], dtype)
    dx = np.empty_like(x)
    for backward in both("gelu_backward"):
        backward(np.ones_like(x), x, dx)
        expected = [-6.3e-11, -3.55e-8, -7.62e-22]
        np.testing.assert_allclose(dx, expected, rtol=5e-2)
