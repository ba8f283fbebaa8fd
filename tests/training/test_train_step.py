"""A whole step in one call: the same bits as the four calls."""

import copy
import pickle

import numpy as np
import pytest

import chainrule as cr

CASES = {
    "regression": (
        lambda dtype: cr.Sequential(
            cr.Linear(4, 8), cr.GELU(), cr.Linear(8, 2), seed=0, dtype=dtype
        ),
        cr.MSELoss(),
        lambda rng, n: rng.standard_normal((n, 2)),
    ),
    "dropout": (
        lambda dtype: cr.Sequential(
            cr.Linear(4, 16), cr.Dropout(0.5), cr.Tanh(), cr.Linear(16, 3), seed=0, dtype=dtype
        ),
        cr.CrossEntropyLoss(),
        lambda rng, n: rng.integers(0, 3, n),
    ),
    "two heads": (
        lambda dtype: cr.Sequential(
            cr.Linear(4, 8),
            cr.ReLU(),
            cr.Branch(cr.Linear(8, 3), cr.Linear(8, 1)),
            seed=0,
            dtype=dtype,
        ),
        cr.MultiLoss(cr.CrossEntropyLoss(), cr.HuberLoss(), weights=(1.0, 0.5)),
        lambda rng, n: (rng.integers(0, 3, n), rng.standard_normal((n, 1))),
    ),
}


def four_calls(net, loss, optimizer, x, y, weight=None):
    out = net.forward(x)
    value, d_out = loss(out, y, weight)
    net.backward(d_out)
    optimizer.step(net)
    return value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_one_call_gives_the_bits_of_the_four(case, weighted, threads, dtype):
    make, loss, targets = CASES[case]
    nets, optimizers = (make(dtype), make(dtype)), (cr.AdamW(lr=0.01), cr.AdamW(lr=0.01))
    step = cr.train_step(nets[0], loss, optimizers[0])
    rng = np.random.default_rng(0)
    with cr.threads(threads):
        for n in (32, 32, 5, 1, 64, 64):
            x, y = rng.standard_normal((n, 4)), targets(rng, n)
            weight = rng.random(n) if weighted else None
            expected = four_calls(nets[1], loss, optimizers[1], x, y, weight)
            several = 1e-15 if isinstance(loss, cr.MultiLoss) else 0  # a sum of them is rounded
            assert step(x, y, sample_weight=weight) == pytest.approx(expected, rel=several, abs=0)
            np.testing.assert_array_equal(nets[0].params, nets[1].params, strict=True)
            np.testing.assert_array_equal(nets[0].grads, nets[1].grads, strict=True)


def small():
    net = cr.Sequential(cr.Linear(2, 1), seed=0, dtype="float64")
    return net, np.ones((3, 2)), np.zeros((3, 1))


def test_the_optimizers_numbers_may_change_between_steps():
    net, x, y = small()
    optimizer = cr.SGD(lr=0.0)
    step = cr.train_step(net, cr.MSELoss(), optimizer)
    before = net.params.copy()
    step(x, y)
    np.testing.assert_array_equal(net.params, before)
    optimizer.lr = 0.5
    step(x, y)
    np.testing.assert_allclose(net.params, before - 0.5 * net.grads, rtol=1e-15)
    optimizer.momentum, before = 0.9, net.params.copy()
    step(x, y)  # the velocity begins with it
    velocity, expected = net.grads.copy(), before - 0.5 * net.grads
    np.testing.assert_allclose(net.params, expected, rtol=1e-14)
    step(x, y)
    expected -= 0.5 * (0.9 * velocity + net.grads)
    np.testing.assert_allclose(net.params, expected, rtol=1e-14)


def test_an_optimizer_may_serve_several_networks_in_turn():
    net, x, y = small()
    other = net.copy()
    alone = net.copy()
    optimizer = cr.Adam(lr=0.1)
    steps = [cr.train_step(n, cr.MSELoss(), optimizer) for n in (net, other)]
    reference = cr.train_step(alone, cr.MSELoss(), cr.Adam(lr=0.1))
    for _ in range(5):
        assert steps[0](x, y) == steps[1](x, y) == reference(x, y)
    np.testing.assert_array_equal(net.params, alone.params)
    np.testing.assert_array_equal(other.params, alone.params)


def test_fit_and_steps_may_alternate():
    (net, x, y), optimizer = small(), cr.Adam(lr=0.1)
    twin, twin_optimizer = net.copy(), cr.Adam(lr=0.1)
    step = cr.train_step(net, cr.MSELoss(), optimizer)
    for _ in range(2):
        step(x, y)
        cr.fit(net, x, y, loss=cr.MSELoss(), optimizer=optimizer, epochs=2, batch_size=3, seed=0)
        four_calls(twin, cr.MSELoss(), twin_optimizer, x, y)
        cr.fit(
            twin, x, y, loss=cr.MSELoss(), optimizer=twin_optimizer, epochs=2, batch_size=3, seed=0
        )
    np.testing.assert_array_equal(net.params, twin.params)


def test_a_loss_that_is_not_finite_changes_nothing():
    net, x, y = small()
    optimizer = cr.SGD(lr=0.1)
    step = cr.train_step(net, cr.MSELoss(), optimizer)
    step(x, y)
    before = net.params.copy()
    assert step(np.full((3, 2), 1e154), y - 1e154) == np.inf
    np.testing.assert_array_equal(net.params, before)
    assert optimizer.state(net).step == 1
    assert np.isfinite(step(x, y))


def test_class_weights_of_one_output_of_several():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((9, 4)), rng.random(9)
    y = rng.integers(0, 3, 9), rng.standard_normal((9, 1))
    loss = cr.MultiLoss(cr.CrossEntropyLoss(weight=[1.0, 3.0, 0.1]), cr.HuberLoss())
    net = CASES["two heads"][0]("float64")
    twin = net.copy()
    value = cr.train_step(net, loss, cr.SGD(lr=0.1))(x, y, weight)
    assert value == pytest.approx(four_calls(twin, loss, cr.SGD(lr=0.1), x, y, weight), rel=1e-14)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("carry", [copy.deepcopy, lambda step: pickle.loads(pickle.dumps(step))])
def test_a_copied_step_goes_on_by_itself(carry):
    rng = np.random.default_rng(0)
    net = cr.Sequential(cr.Linear(3, 4), cr.BatchNorm(4), cr.Tanh(), cr.Linear(4, 2), seed=0)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    step = cr.train_step(net, cr.MSELoss(), cr.Adam(lr=0.1))
    step(x, y)
    twin, values = carry(step), net.values.copy()
    losses = [twin(x, y) for _ in range(3)]
    np.testing.assert_array_equal(net.values, values)
    assert [step(x, y) for _ in range(3)] == losses


def test_backward_does_not_follow_a_step():
    net, x, y = small()
    step = cr.train_step(net, cr.MSELoss(), cr.SGD())
    out = net.forward(x)
    step(x, y)
    with pytest.raises(RuntimeError, match="A training step has changed the parameters"):
        net.backward(out)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((3, 5)), np.zeros((3, 1))), ValueError, "x"),
        ((np.ones((3, 2)), np.zeros((4, 1))), ValueError, "y must have the shape"),
        ((np.full((3, 2), np.nan), np.zeros((3, 1))), ValueError, "x must be finite"),
        (
            (np.ones((3, 2)), np.zeros((3, 1)), [1, np.nan, 1]),
            ValueError,
            "^sample_weight must be finite",
        ),
    ],
)
def test_wrong_arguments_change_nothing(arguments, error, message):
    net, x, y = small()
    optimizer = cr.Adam()
    step = cr.train_step(net, cr.MSELoss(), optimizer)
    step(x, y)
    before = net.params.copy(), net.grads.copy()
    with pytest.raises(error, match=message):
        step(*arguments)
    np.testing.assert_array_equal(net.params, before[0])
    np.testing.assert_array_equal(net.grads, before[1])
    assert optimizer.state(net).step == 1


def test_a_step_says_what_it_is():
    step = cr.train_step(small()[0], cr.MSELoss(), cr.Lion())
    assert repr(step).startswith("train_step(Sequential(Linear(2, 1)), MSELoss(), Lion(lr=0.0001")


def test_wrong_parts_are_refused():
    net, _, _ = small()
    with pytest.raises(TypeError, match="net must be a Sequential"):
        cr.train_step(None, cr.MSELoss(), cr.SGD())
    with pytest.raises(TypeError, match="loss must be a loss"):
        cr.train_step(net, cr.SGD(), cr.SGD())
    with pytest.raises(TypeError, match="optimizer must be an optimizer"):
        cr.train_step(net, cr.MSELoss(), 0.1)
