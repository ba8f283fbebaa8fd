"""Pooling: windows of all kinds, ties, NaN, and the kernels beside their twins."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.operations.max_pool import max_pool, max_pool_backward
from chainrule.reference import max_pool as twin

PAIR = st.tuples(st.integers(1, 4), st.integers(1, 4))
ENDS = st.tuples(st.integers(-3, 4), st.integers(-3, 4))
LAYERS = st.one_of(
    st.builds(
        cr.MaxPool2d,
        PAIR,
        st.none() | PAIR,
        st.tuples(st.integers(0, 2), st.integers(0, 2)),
        dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        ceil_mode=st.booleans(),
    ),
    st.builds(
        cr.AvgPool2d,
        PAIR,
        st.none() | PAIR,
        st.tuples(st.integers(0, 2), st.integers(0, 2)),
        ceil_mode=st.booleans(),
        count_include_pad=st.booleans(),
    ),
    st.builds(cr.GlobalMaxPool),
    st.builds(cr.GlobalAvgPool),
    st.builds(cr.Upsample, PAIR),
    st.builds(cr.ZeroPad, st.tuples(ENDS, ENDS)),
)


def made(strategy):
    """Leave out the arguments that a layer refuses."""

    def attempt(draw):
        try:
            return draw(strategy)
        except ValueError:
            assume(False)

    return st.composite(attempt)()


@given(
    layer=made(LAYERS),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)),
    rows=st.integers(1, 12),
    threads=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
    parts=st.booleans(),
)
@settings(max_examples=60)
def test_any_windows_of_any_images(layer, shape, rows, threads, dtype, parts):
    """Both backends agree; of numbers that are whole, to the bit. Threads change none."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (rows, *shape)).astype(dtype)  # with many ties
    nets = [
        cr.Sequential(*([cr.Identity(), layer] if parts else [layer]), dtype=dtype, backend=backend)
        for backend in ("numba", "numpy")
    ]
    try:
        outputs = [net.forward(x) for net in nets]
    except ValueError as error:
        refused = ("has windows", "leaves nothing of")
        assert any(text in str(error) for text in refused)  # noqa: PT017 - any other error is one
        assume(False)
    dy = rng.integers(-9, 9, outputs[0].shape).astype(dtype)
    gradients = [net.backward(dy) for net in nets]
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 32 * np.finfo(dtype).eps}
    np.testing.assert_allclose(*outputs, **tolerance)
    np.testing.assert_allclose(*gradients, **tolerance)
    with cr.threads(threads):
        np.testing.assert_array_equal(nets[0].predict(x), outputs[0])


def test_the_first_of_several_largest_gets_the_gradient():
    x = np.array([[1.0, 3.0, 3.0, 2.0, 2.0, 2.0]]).reshape(1, 6, 1)
    net = cr.Sequential(cr.MaxPool1d(3, 2, 1), dtype="float64")
    np.testing.assert_array_equal(net.forward(x)[0, :, 0], [3, 3, 2])
    found = net.backward(np.array([[10.0], [20.0], [30.0]])[np.newaxis])
    np.testing.assert_array_equal(found[0, :, 0], [0, 30, 0, 30, 0, 0])


def arrays_of(kernel, x, dy, window, floor=-np.inf):
    forward, backward = kernel
    y, dx = np.full(dy.shape, -1.0), np.full(x.shape, -1.0)
    forward(x, window, floor, y)
    backward(dy, x, window, floor, 0, dx)
    return y, dx


@pytest.mark.parametrize("kernel", [(max_pool, max_pool_backward),
                                    (twin.max_pool, twin.max_pool_backward)])  # fmt: skip
def test_nan_and_infinity_are_as_in_pytorch(kernel):
    nan, inf = np.nan, np.inf
    window = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0])
    blocks = [  # a window, its largest, and where PyTorch gives the gradient
        ([1, nan, nan, 2], nan, 2),
        ([nan, 5, 1, 2], nan, 0),
        ([-inf] * 4, -inf, 0),
        ([-inf, -1, inf, inf], inf, 2),
        ([-0.0, 0.0, -1, -2], 0.0, 0),
    ]
    x = np.array([own for own, *_ in blocks]).reshape(5, 2, 2, 1)
    dy = np.arange(1.0, 6.0).reshape(5, 1, 1, 1)
    y, dx = arrays_of(kernel, x, dy, window)
    np.testing.assert_array_equal(y.reshape(-1), [largest for _, largest, _ in blocks])
    expected = np.zeros((5, 4))
    expected[np.arange(5), [at for *_, at in blocks]] = dy.reshape(-1)
    np.testing.assert_array_equal(dx.reshape(5, 4), expected)
    y, dx = arrays_of(kernel, x, dy, window, floor=0.0)  # a ReLU behind it
    np.testing.assert_array_equal(y.reshape(-1), [nan, nan, 0, inf, 0])
    expected[[0, 1, 2, 4]] = 0
    np.testing.assert_array_equal(dx.reshape(5, 4), expected)


def test_a_value_that_is_pooled_twice():
    """Gradients of several uses are added up, also where one alone would be written."""
    net = cr.Sequential(
        cr.Linear(2, 2),
        cr.Parallel(cr.MaxPool2d(2), cr.AvgPool2d(2), cr.MaxPool2d(2, ceil_mode=True)),
        cr.Residual(cr.Tanh()), cr.Flatten(), cr.Linear(8, 1), seed=0, dtype="float64",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    assert cr.gradcheck(
        net, cr.MSELoss(), rng.normal(size=(3, 4, 4, 2)), rng.normal(size=(3, 1))
    ).passed


def names_of(net, **options):
    return [step.operation.name for step in net.make_plan((6, 6, 3), 4, **options).steps]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_relu_before_is_computed_behind(backend):
    """With the same values and gradients, also where a whole window is negative."""
    rng, window = np.random.default_rng(0), [cr.ReLU(), cr.MaxPool2d(2)]
    x = rng.integers(-3, 2, (40, 6, 6, 3)).astype(float)
    options = {"seed": 0, "dtype": "float64", "backend": backend}
    net = cr.Sequential(*window, **options)
    assert names_of(net) == ["max_pool"]
    assert names_of(net, retain=True) == ["relu", "max_pool"]
    relu, pool = (cr.Sequential(layer, **options) for layer in window)
    hidden = relu.forward(x)
    y = pool.forward(hidden)
    np.testing.assert_array_equal(net.forward(x), y)
    dy = rng.normal(size=y.shape)
    np.testing.assert_array_equal(net.backward(dy), relu.backward(pool.backward(dy)))
    other = cr.Sequential(cr.ReLU(), cr.Parallel(cr.MaxPool2d(2), cr.AvgPool2d(2)), **options)
    assert names_of(other)[0] == "relu"
    assert cr.gradcheck(
        cr.Sequential(*window, cr.Flatten(), cr.Tanh(), seed=0),
        cr.MSELoss(), rng.normal(size=(3, 6, 6, 3)), rng.normal(size=(3, 27)),
    ).passed  # fmt: skip
