"""Activations of one's own: whatever Python says, in both precisions, with the exact derivative."""

import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.kernels import compilation
from chainrule.kernels.elementwise import complex_step
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.kernels.same import canonical
from chainrule.kernels.weak import scalar_function

DTYPES = ["float32", "float64"]
BACKENDS = ["numba", "numpy"]
ROUNDING = {"float32": 1e-6, "float64": 1e-12}
OUTSIDE, WHOLE, COEFFICIENTS = 0.1, 3, (0.5, -1.0, 0.25)


def leaky(x):
    return x if x > 0 else OUTSIDE * x


def leaky_slope(x):
    return 1.0 if x > 0 else OUTSIDE


def with_a_local(x):
    half = 0.5
    t = np.tanh(half * x)
    return half * t + 1


def with_a_local_slope(x):
    t = np.tanh(0.5 * x)
    slope = 0.25
    return slope * (1 - t * t)


def pieces(x):
    if x > 1:
        y = 2
    elif x < -1:
        y = 0.5 * x
    else:
        y = WHOLE * x
        y += x**2
    return y


def pieces_slope(x):
    slope = 0
    if x < -1:
        slope = 0.5
    elif x <= 1:
        slope = WHOLE + 2 * x
    return slope


def polynomial(x):
    y = 0.0
    for coefficient in COEFFICIENTS:
        y = y * x + coefficient
    return y


def polynomial_slope(x):
    y, slope = 0.0, 0
    for k in range(len(COEFFICIENTS)):
        slope = slope * x + y
        y = y * x + COEFFICIENTS[k]
    return slope


def hard(x):
    return min(max(x / 6 + 0.5, 0), 1)


def hard_slope(x):
    return 1 / 6 if -3 < x < 3 else 0


def loop(x):
    y = x
    while y > 1:
        y = y / 2
    return y


def loop_slope(x, y):
    return y / x if x > 1 else 1


def whole_numbers(x):
    k = int(abs(x)) // 2
    return x * k if k != 0 else 7


def whole_numbers_slope(x):
    return float(int(abs(x)) // 2)


def powers(x):
    large = 1e40 * (OUTSIDE * 1e-40)  # no float32 holds its factors
    return large * x**3 + 2**x


def powers_slope(x):
    return 3 * OUTSIDE * x**2 + math.log(2) * 2**x


def constant(x):
    return 1


def constant_slope(x):
    return 0


WITH_SLOPE = [
    (leaky, leaky_slope),
    (with_a_local, with_a_local_slope),
    (pieces, pieces_slope),
    (polynomial, polynomial_slope),
    (hard, hard_slope),
    (loop, loop_slope),
    (whole_numbers, whole_numbers_slope),
    (powers, powers_slope),
    (constant, constant_slope),
    (lambda x: x if x > 0 else 0.1 * x, lambda x: 1.0 if x > 0 else 0.1),
    (lambda x: -x if x < -1 else x * x, lambda x: -1 if x < -1 else 2 * x),
]
POINTS = np.array([-7.5, -2.5, -1.25, -0.5, -1e-3, 1e-6, 0.25, 0.75, 1.5, 4.25, 9.0])


def derivative(net, x):
    """Return the outputs for a row of numbers, and their derivatives by them."""
    x = np.asarray(x, net.dtype)
    y = net.forward(x[np.newaxis])[0]
    return y, net.backward(np.ones((1, x.size), net.dtype))[0]


def values_of(f, df, x):
    """Return the outputs and slopes for each number of x, one by one."""
    both = df.__code__.co_argcount == 2
    ys = [f(each) for each in x]
    return ys, [df(each, y) if both else df(each) for each, y in zip(x, ys, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "df"), WITH_SLOPE, ids=lambda f: f.__name__)
def test_conditions_and_variables_in_both_precisions(f, df, dtype):
    points = POINTS.astype(dtype)
    expected = values_of(f, df, points.tolist())

    def slope(x, y):  # as it is called: y has the precision of x
        return slopes(x, x.dtype.type(y)) if df.__code__.co_argcount == 2 else slopes(x)

    value, slopes = scalar_function(f), scalar_function(df)
    ys = [value(x) for x in points]
    found = ys, [slope(x, y) for x, y in zip(points, ys, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("f", [leaky, loop])
def test_conditions_and_variables_in_a_network(f, backend):
    df = dict(WITH_SLOPE)[f]
    net = cr.Sequential(cr.Activation(f, df), backend=backend)
    expected = values_of(f, df, POINTS.astype(net.dtype).tolist())
    np.testing.assert_allclose(derivative(net, POINTS), expected, rtol=1e-6)


# Analytic functions, and their derivatives as double precision has them


def square_root_of_squares(x):
    return np.sqrt(x * x + 1e-12)


ANALYTIC = {
    "tanh": (lambda x: np.tanh(x), lambda x: 1 / np.cosh(x) ** 2),
    "sqrt(x**2 + eps)": (square_root_of_squares, lambda x: x / np.sqrt(x * x + 1e-12)),
    "fast": (lambda x: np.sin(100 * x), lambda x: 100 * np.cos(100 * x)),
    "faster": (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)),
    "gauss": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "softplus": (lambda x: np.log(1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x))),
    "swish": (
        lambda x: x / (1 + np.exp(-x)),
        lambda x: (1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2,
    ),
    "arctan": (lambda x: np.arctan(x), lambda x: 1 / (1 + x * x)),
    "arcsinh": (lambda x: np.arcsinh(x), lambda x: 1 / np.sqrt(1 + x * x)),
    "rational": (lambda x: x / (2 + x * x), lambda x: (2 - x * x) / (2 + x * x) ** 2),
    "tan": (lambda x: np.tan(x), lambda x: 1 / np.cos(x) ** 2),
    "exp(2 x)": (lambda x: np.exp(2 * x), lambda x: 2 * np.exp(2 * x)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ANALYTIC)
@settings(max_examples=20)
@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8), st.integers(-9, 0))
def test_a_complex_step_is_exact(name, dtype, x, exponent):
    f, df = ANALYTIC[name]
    layer = cr.Activation(f)  # it is found to be analytic
    slope = complex_step(layer.f)
    x = np.array(x, dtype) * np.asarray(10.0**exponent, dtype)
    slopes = np.array([slope(each, each) for each in x], dtype)
    wide = x.astype(float)
    expected = df(wide)
    # A relative error of x in double precision, and then one of the result.
    by_x = 1e-15 * np.abs(df(wide * (1 + 1e-6)) - expected) * 1e6
    error = np.abs(slopes - expected)
    one = 1e-15 if dtype == "float64" else 1.2e-7
    assert np.all(error <= 40 * by_x + one * np.abs(expected) * 20 + 1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_edges_of_a_domain(dtype, backend):
    net = cr.Sequential(cr.Activation(lambda x: np.sqrt(x)), dtype=dtype, backend=backend)
    with np.errstate(all="ignore"):
        _, slopes = derivative(net, [1e-6, 1e-30, 4.0, -1.0])
    np.testing.assert_allclose(slopes[:3], [500.0, 0.5e15, 0.25], rtol=1e-6)
    assert np.isnan(slopes[3])  # as in PyTorch: complex numbers have a root there
    net = cr.Sequential(cr.Activation(lambda x: np.sin(x) / x), dtype=dtype, backend=backend)
    with np.errstate(all="ignore"):
        values, slopes = derivative(net, [0.0, 0.5])
    assert np.isnan([values[0], slopes[0]]).all()  # 0 / 0
    assert slopes[1] == pytest.approx(np.cos(0.5) / 0.5 - np.sin(0.5) / 0.25, rel=1e-6)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: abs(x),
        lambda x: np.abs(x) + 1e6,
        lambda x: x + 1e-3 * np.abs(x),
        lambda x: np.sin(100 * np.abs(x)),
        lambda x: np.sign(x) * x,
        lambda x: x * x.real,
        lambda x: np.sqrt(x * np.conj(x) + 1),
        lambda x: max(x, 0 * x),
        lambda x: 1.0 if x > 0 else 0.0,
    ],
)
def test_what_a_complex_step_does_not_differentiate_is_refused(f):
    with pytest.raises(ValueError, match="derivative df must be given"):
        cr.Activation(f)


# The same function is compiled once


def squared_and_scaled(factor, shift=0.0):
    return lambda x: factor * x * x + shift


def test_functions_that_are_the_same_but_for_their_object_are_one():
    assert canonical(squared_and_scaled(2.0)) is not canonical(squared_and_scaled(3.0))
    kept = [
        canonical(squared_and_scaled(*values))
        for values in ((1.0,), (1,), (True,), (np.float32(1),), (0.0,), (-0.0,), (1.0, 2.0), ("1",))
    ]
    assert len(set(map(id, kept))) == len(kept)
    assert canonical(squared_and_scaled(1.0)) is kept[0]
    changing = np.ones(3)  # it may be another one inside, next time
    first, second = (squared_and_scaled(changing) for _ in range(2))
    assert canonical(first) is first
    assert canonical(second) is second


def test_a_function_that_reads_another_number_is_another():
    text = "def f(x):\n    return scale * x\ndef df(x):\n    return scale"
    slopes = []
    for scale in (2.0, 3.0, 2.0):
        names = {"scale": scale}
        exec(text, names)
        net = cr.Sequential(cr.Activation(names["f"], names["df"]))
        slopes.append(derivative(net, [1.0])[1][0])
    assert slopes == [2.0, 3.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_takes_a_number_as_it_is_when_it_is_made(backend):
    """Also where a network before it has taken another one, by the same function or its like."""
    text = "def f(x):\n    return scale * x\ndef df(x):\n    return scale"
    names, anew = {}, {}
    exec(text, names)
    exec(text, anew)
    for functions, scale in ((names, 4.0), (names, 5.0), (anew, 5.0), (anew, 4.0), (names, 4.0)):
        functions["scale"] = scale
        net = cr.Sequential(cr.Activation(functions["f"], functions["df"]), backend=backend)
        assert derivative(net, [1.0])[1][0] == scale


def test_a_variable_around_a_function_may_change_as_well():
    def both():
        def f(x):
            return scale * x

        def df(x):
            return scale

        def change(value):
            nonlocal scale
            scale = value

        scale = 0.0
        return f, df, change

    one, other = both(), both()
    for (f, df, change), scale in ((one, 6.0), (one, 7.0), (other, 7.0), (other, 6.0)):
        change(scale)
        assert derivative(cr.Sequential(cr.Activation(f, df)), [1.0])[1][0] == scale


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_function_that_is_made_anew_is_not_compiled_anew(monkeypatch):
    compiled, compile_it = [], compilation.user_function

    def counted(function):
        compiled.append(function)
        return compile_it(function)

    monkeypatch.setattr(compilation, "user_function", counted)
    for _ in range(5):
        net = cr.Sequential(cr.Activation(squared_and_scaled(0.123)), seed=0)
        assert derivative(net, [2.0])[1][0] == pytest.approx(0.492)
        del net
        gc.collect()
    # Forward and backward; and backward in float64, to check the complex step.
    assert len(set(compiled)) == 2
    assert len(compiled) == 3
    assert compilation._of_user.cache_info().maxsize is not None
