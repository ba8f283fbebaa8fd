"""Predictions with what scales columns folded into the weight before it."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.plan.forward
from chainrule.plan.fold import MOST_ROWS

BOTH = pytest.mark.parametrize("backend", ["numba", "numpy"])
NETWORKS = {
    "batch norm": lambda: [cr.Linear(5, 8), cr.BatchNorm(8), cr.ReLU(), cr.Linear(8, 2)],
    "no bias": lambda: [cr.Linear(5, 8, bias=False), cr.BatchNorm(8, affine=False), cr.Tanh()],
    "several": lambda: [cr.Linear(5, 3), cr.BatchNorm(3), cr.BatchNorm(3), cr.Linear(3, 2)],
    "last": lambda: [cr.Linear(5, 3), cr.BatchNorm(3)],
    "known": lambda: [cr.Linear(5, 2), cr.Standardize(mean=(0.5, -1.0), variance=(4.0, 0.25))],
}


def network(layers, **options):
    net = cr.Sequential(*layers, seed=0, **options)
    rng = np.random.default_rng(1)
    for value in net.named_values().values():
        value += rng.uniform(0.1, 0.5, value.shape)
    return net


def batch(rows=40, shape=(5,)):
    return np.random.default_rng(0).normal(size=(rows, *shape))


def plan_of(net, rows=40, **options):
    return net.make_plan((5,), rows, **options)


@BOTH
@pytest.mark.parametrize("name", NETWORKS)
def test_the_output_is_the_same_to_rounding(name, backend, monkeypatch):
    for dtype, rtol in (("float32", 1e-5), ("float64", 1e-13)):
        net, X = network(NETWORKS[name](), dtype=dtype, backend=backend), batch()
        assert 1 in plan_of(net, backward=False).fused
        found = net.predict(X), net.copy().predict(batch(40, (3, 5)))
        with monkeypatch.context() as patch:
            patch.setattr(chainrule.plan.forward, "folded", lambda *_: None)
            expected = net.copy().predict(X), net.copy().predict(batch(40, (3, 5)))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)


def test_it_follows_parameters_and_statistics():
    """Also those that are written into views, between two calls that are prepared."""
    net, X = network(NETWORKS["batch norm"](), dtype="float64"), batch()
    net.predict(X)
    for name, value in net.named_values().items():
        if name != "1.num_batches_tracked":
            value *= 1.5
            net.training = False
            np.testing.assert_allclose(net.predict(X), net.forward(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [40, 300, 2000])
def test_any_number_of_threads_gives_the_same_bits(all_threads, rows):
    found = []
    for threads in (1, 2, 3):
        net = network(NETWORKS["batch norm"]())
        with all_threads(), cr.threads(threads):
            found.append(net.predict(batch(rows)).tobytes())
    assert found[0] == found[1] == found[2]


def test_where_nothing_is_folded():
    net = network(NETWORKS["batch norm"]())
    assert 1 not in plan_of(net).fused  # a backward pass reads the values between
    assert 1 not in plan_of(net, backward=False, retain=True).fused
    assert 1 not in plan_of(net, 4, backward=False).fused  # the weight is larger than the output
    wide = cr.Sequential(cr.Linear(MOST_ROWS + 1, 8), cr.BatchNorm(8))
    plan = wide.make_plan((MOST_ROWS + 1,), 4 * MOST_ROWS, backward=False)
    assert 1 not in plan.fused  # with any number of threads
    branches = cr.Residual(cr.BatchNorm(8)), cr.Linear(8, 2)
    used_twice = network([cr.Linear(5, 8), *branches])
    assert 1 not in plan_of(used_twice, backward=False).fused


@BOTH
@pytest.mark.parametrize("bias", [True, False])
def test_behind_a_convolution(backend, bias, monkeypatch):
    layers = cr.Conv2d(3, 6, 3, padding=1, groups=3, bias=bias), cr.BatchNorm(6), cr.ReLU()
    net = network(layers, dtype="float64", backend=backend)
    x = batch(5, (7, 6, 3))
    assert 1 in net.make_plan((7, 6, 3), 5, backward=False).fused
    found = net.predict(x)
    monkeypatch.setattr(chainrule.plan.forward, "folded", lambda *_: None)
    np.testing.assert_allclose(found, net.copy().predict(x), rtol=1e-12, atol=1e-12)
