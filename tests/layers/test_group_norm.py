"""GroupNorm and RMSNorm: what is special about them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])


def normalized(x, groups, eps):
    """Return each group of channels in each sample, over all places, by the textbook."""
    grouped = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean = grouped.mean(axis=(1, 3), keepdims=True)
    return ((grouped - mean) / np.sqrt(grouped.var(axis=(1, 3), keepdims=True) + eps)).reshape(
        x.shape
    )


@given(
    rows=st.integers(1, 20),
    places=st.lists(st.integers(1, 4), max_size=2),
    groups=st.integers(1, 4),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_groups_of_any_shape(rows, places, groups, width, seed):
    x = np.random.default_rng(seed).normal(3, 2, size=(rows, *places, groups * width))
    net = cr.Sequential(cr.GroupNorm(groups, groups * width, 0.1), seed=0, dtype="float64")
    parameters = net.parameters()
    for value in parameters.values():
        value[:] = np.random.default_rng(seed).normal(size=value.shape)
    expected = normalized(x, groups, 0.1) * parameters["0.weight"] + parameters["0.bias"]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-10, atol=1e-10)


@BOTH
@pytest.mark.parametrize("places", [(), (3,), (2, 3)])
def test_derivatives_over_places(backend, places):
    x = np.random.default_rng(0).normal(size=(3, *places, 6))
    y = np.random.default_rng(1).normal(size=x.shape)
    layers = cr.GroupNorm(3, 6), cr.Tanh(), cr.RMSNorm(6)
    net = cr.Sequential(*layers, seed=0, dtype="float64", backend=backend)
    assert cr.gradcheck(net, cr.MSELoss(), x, y).passed
    assert cr.gradgradcheck(net, cr.MSELoss(), x, y).passed


def test_one_group_is_layer_norm_and_as_many_as_features_are_instances():
    x = np.random.default_rng(0).normal(size=(5, 4))
    of_rows = cr.Sequential(cr.LayerNorm(4), dtype="float64").predict(x)
    one = cr.Sequential(cr.GroupNorm(1, 4), dtype="float64").predict(x)
    np.testing.assert_allclose(one, of_rows, rtol=1e-12, atol=1e-12)
    images = np.random.default_rng(1).normal(size=(2, 7, 4))
    each = cr.Sequential(cr.GroupNorm(4, 4), dtype="float64").predict(images)
    np.testing.assert_allclose(each.mean(axis=1), 0, atol=1e-12)


def test_a_mean_far_from_zero_costs_few_digits():
    x = (np.random.default_rng(0).normal(size=(3, 50, 4)) + 1e4).astype("float32")
    output = cr.Sequential(cr.GroupNorm(2, 4)).predict(x)
    np.testing.assert_allclose(output, normalized(x.astype(float), 2, 1e-5), atol=0.01)


def test_the_default_epsilon_is_that_of_the_dtype():
    for dtype in ("float32", "float64"):
        x = np.full((1, 2), 1e-3 if dtype == "float32" else 1e-8, dtype)
        expected = x / np.sqrt(x.astype(float) ** 2 + np.finfo(dtype).eps)
        net = cr.Sequential(cr.RMSNorm(2), dtype=dtype)
        np.testing.assert_allclose(net.predict(x), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cr.GroupNorm(4, 6), ValueError, "groups must divide its 6 features, not be 4"),
        (lambda: cr.GroupNorm(0, 6), ValueError, "groups must be at least 1"),
        (lambda: cr.GroupNorm(2.0, 6), TypeError, "groups must be an integer"),
        (lambda: cr.GroupNorm(2, 6, 0), ValueError, "eps must be more than 0"),
        (lambda: cr.RMSNorm(3, -1.0), ValueError, "eps must be more than 0"),
        (lambda: cr.RMSNorm(3, affine=1), TypeError, "affine must be True or False"),
        (
            lambda: cr.Sequential(cr.Linear(4, 6), cr.GroupNorm(2, 4)),
            ValueError,
            r"GroupNorm\(2, 4\) \(layer 1\) expects 4 features, but .* gives shape \(n, 6\)",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
