"""Gradient clipping and the average of the parameters: by hand, and inside compiled steps."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.jit import JIT_DISABLED


def wide(width=512, **options):
    layers = cr.Linear(16, width), cr.Tanh(), cr.Linear(width, 16)
    return cr.Sequential(*layers, seed=0, **{"dtype": "float64"} | options)


def data(rows=96):
    X = np.random.default_rng(0).normal(size=(rows, 16))
    return X, 10 * np.sin(3 * X)


def fit(net, **options):
    X, y = data()
    defaults = {"loss": cr.MSELoss(), "epochs": 2, "batch_size": 32, "progress": False}
    return cr.fit(net, X, y, **defaults | {"optimizer": cr.Adam(lr=0.01)} | options)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norm_is_that_of_all_gradients(backend, dtype):
    net = wide(dtype=dtype, backend=backend)
    given = np.random.default_rng(1).normal(size=net.params.size).astype(dtype)
    norm = float(np.linalg.norm(given.astype(float)))
    near = {"rtol": 1e-6 if dtype == "float32" else 1e-12}
    for largest in (0.5, 2 * norm):
        net.grads[:] = given
        assert cr.clip_grad_norm(net, largest) == pytest.approx(norm, rel=1e-12)
        np.testing.assert_allclose(net.grads, given * min(1, largest / (norm + 1e-6)), **near)
    net.grads[:] = given
    cr.clip_grad_value(net, 0.3)
    np.testing.assert_array_equal(net.grads, np.clip(given, -0.3, 0.3).astype(dtype))


def test_what_is_not_finite_stays_visible():
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    net.grads[:] = [np.nan, np.inf, 1]
    cr.clip_grad_value(net, 2)
    np.testing.assert_array_equal(net.grads, [np.nan, 2, 1])
    assert np.isnan(cr.clip_grad_norm(net, 1))
    assert np.isnan(net.grads[0])


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_norm_that_overflows_is_seen(backend):
    net = cr.Sequential(cr.Linear(1, 1), seed=0, dtype="float64", backend=backend)
    net.grads[:] = 1e160
    assert cr.clip_grad_norm(net, 1.0) == np.inf
    assert np.isnan(net.grads).all()
    gradient = np.full(2, 1e160)
    assert cr.ops.clip_grad_norm(gradient, 1.0) == np.inf
    assert np.isnan(gradient).all()


LIMITS = [{"clip_norm": 0.5}, {"clip_value": 0.01}, {"clip_norm": 0.3, "clip_value": 0.01}]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_fit_does_what_a_loop_by_hand_does(limits):
    net, by_hand, plain = wide(), wide(), wide()
    average = cr.ExponentialMovingAverage(net, 0.9)
    followed = cr.ExponentialMovingAverage(by_hand, 0.9)
    fit(net, shuffle=False, average=average, **limits)
    (X, y), optimizer, loss = data(), cr.Adam(lr=0.01), cr.MSELoss()
    for start in (0, 32, 64, 0, 32, 64):
        rows = slice(start, start + 32)
        by_hand.backward(loss(by_hand.forward(X[rows]), y[rows])[1])
        if "clip_value" in limits:
            cr.clip_grad_value(by_hand, limits["clip_value"])
        if "clip_norm" in limits:
            assert cr.clip_grad_norm(by_hand, limits["clip_norm"]) > limits["clip_norm"]
        optimizer.step(by_hand)
        followed.update()
    np.testing.assert_allclose(net.params, by_hand.params, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        average.network.params, followed.network.params, rtol=1e-10, atol=1e-12
    )
    fit(plain, shuffle=False)
    assert not np.allclose(net.params, plain.params)


def test_average_follows_the_formula():
    net = wide()
    average = cr.ExponentialMovingAverage(net, 0.75)
    expected = net.params.copy()
    for i in range(3):
        net.params[:] = np.random.default_rng(i).normal(size=net.params.size)
        average.update()
        expected = 0.75 * expected + 0.25 * net.params
    np.testing.assert_allclose(average.network.params, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("eager_threads")
def test_same_bits_with_two_threads(dtype):
    results = []
    for threads in (1, 2, 3):
        with cr.threads(threads):
            net = wide(dtype=dtype)
            average = cr.ExponentialMovingAverage(net, 0.9)
            optimizer = cr.AdamW(weight_decay={"*.weight": 0.1})
            fit(net, clip_norm=0.5, clip_value=0.1, average=average, optimizer=optimizer)
        results.append(np.concatenate([net.params, net.grads, average.network.params]))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_limits_hold_for_that_training_only():
    net, optimizer = wide(), cr.SGD(lr=1.0)
    fit(net, optimizer=optimizer, clip_value=1e-3)
    net.grads[:] = 1
    before = net.params.copy()
    optimizer.step(net)
    np.testing.assert_allclose(net.params, before - 1)


def test_average_goes_back_with_the_parameters():
    net = wide(dtype="float32")
    average = cr.ExponentialMovingAverage(net, 0.5)
    with pytest.raises(cr.NonFiniteError):
        fit(net, optimizer=cr.SGD(lr=1e6), average=average, epochs=50)
    assert np.isfinite(net.params).all()
    assert np.isfinite(average.network.params).all()


def test_resumed_training_has_the_same_average(tmp_path):
    options = {"clip_norm": 0.5, "optimizer": cr.AdamW(weight_decay={"*.weight": 0.1})}
    whole, half, resumed = wide(8), wide(8), wide(8)
    averages = [cr.ExponentialMovingAverage(net, 0.9) for net in (whole, half, resumed)]
    path = tmp_path / "run.safetensors"
    fit(whole, average=averages[0], epochs=4, **options)
    options["optimizer"] = cr.AdamW(weight_decay={"*.weight": 0.1})
    fit(half, average=averages[1], epochs=2, checkpoint=path, **options)
    options["optimizer"] = cr.AdamW(weight_decay={"*.weight": 0.1})
    fit(resumed, average=averages[2], epochs=4, checkpoint=path, resume=True, **options)
    assert np.array_equal(whole.params, resumed.params)
    assert np.array_equal(averages[0].network.params, averages[2].network.params)
    with pytest.raises(ValueError, match="another training"):
        fit(wide(8), epochs=4, checkpoint=path, resume=True, **options | {"clip_norm": 1})


def test_wrong_limits():
    net = wide()
    before = net.params.copy()
    cases = [
        (lambda: fit(net, clip_norm=0), ValueError, "clip_norm must be more than 0, not 0"),
        (lambda: fit(net, clip_value="1"), TypeError, "clip_value must be a number"),
        (lambda: fit(net, average=0.9), TypeError, "average must be a cr.ExponentialMoving"),
        (lambda: cr.clip_grad_norm(net, -1), ValueError, "max_norm must be more than 0, not -1"),
        (lambda: cr.clip_grad_norm(3, 1), TypeError, "net must be a Sequential, not 3"),
        (lambda: cr.clip_grad_value(net, None), TypeError, "clip_value must be a number"),
        (lambda: cr.ExponentialMovingAverage(net, 1), ValueError, "less than 1, not 1"),
        (lambda: cr.ExponentialMovingAverage([]), TypeError, "net must be a Sequential"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()
    with pytest.raises(ValueError, match="must follow the network that is trained"):
        fit(net, average=cr.ExponentialMovingAverage(wide()))
    assert np.array_equal(net.params, before)
