"""Dropout: its random numbers, its masks, and where they apply."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import binding
from chainrule.kernels import random as compiled
from chainrule.kernels.jit import JIT_DISABLED
from chainrule.operations.dropout import dropout, dropout_backward
from chainrule.reference import random as plain

# Of Random123's kat_vectors, for philox4x32 with 7 rounds: counter, key, result.
KNOWN = [
    ("00000000 " * 4, "00000000 " * 2, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    ("ffffffff " * 4, "ffffffff " * 2, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "4dfccaba 190a87f0 c47362ba b6b5242a",
    ),
]


@pytest.mark.parametrize("module", [compiled, plain])
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_generator_gives_the_published_numbers(module, counter, key, expected):
    words = [int(word, 16) for word in f"{counter} {key}".split()]
    result = module.philox(*words)
    assert [int(word) for word in result] == [int(word, 16) for word in expected.split()]


def masks(p, size=1 << 14, key=1, step=0, number=0, first=0):
    kept = np.empty(size)
    dropout(np.ones(size), kept, p, key, step, number, first)
    return kept > 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_masks_have_their_mean_and_are_independent(p):
    first = masks(p)
    room = 5 * np.sqrt(p * (1 - p) / first.size)
    assert abs(first.mean() - (1 - p)) < room
    others = {
        "key": masks(p, key=2),
        "high bit of the key": masks(p, key=1 + (1 << 62)),
        "step": masks(p, step=1),
        "far step": masks(p, step=1 << 32),
        "place": masks(p, number=1),
        "next rows": masks(p, first=first.size),
        "neighbour": np.roll(first, 1),
        "next but one": np.roll(first, 2),
        "four on": np.roll(first, 4),
    }
    for name, other in others.items():
        covariance = np.mean((first - first.mean()) * (other - other.mean()))
        assert abs(covariance) < 5 * p * (1 - p) / np.sqrt(first.size), name


def test_a_mask_does_not_depend_on_how_it_is_cut():
    whole = masks(0.5, 1003)
    parts = [masks(0.5, size, first=at) for at, size in ((0, 16), (16, 984), (1000, 3))]
    assert np.array_equal(np.concatenate(parts), whole)


def network(*, p=0.4, **options):
    layers = cr.Linear(8, 33), cr.ReLU(), cr.Dropout(p), cr.Linear(33, 3)
    return cr.Sequential(*layers, seed=3, **{"dtype": "float64"} | options)


def data(rows=96):
    X = np.random.default_rng(0).normal(size=(rows, 8))
    return X, np.sin(X[:, :3])


def fit(net, **options):
    defaults = {"loss": cr.MSELoss(), "epochs": 3, "batch_size": 32, "progress": False}
    return cr.fit(net, *data(), **defaults | options)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_forward_drops_and_predict_does_not(backend):
    net = cr.Sequential(cr.Dropout(0.25), seed=0, dtype="float64", backend=backend)
    x = np.random.default_rng(0).normal(size=(400, 7))
    out = net.forward(x)
    kept = out != 0
    np.testing.assert_allclose(out[kept], x[kept] / 0.75)
    assert abs(kept.mean() - 0.75) < 0.05
    dy = np.random.default_rng(1).normal(size=x.shape)
    net.reset_dropout_masks()  # for the next forward
    np.testing.assert_allclose(net.backward(dy), np.where(kept, dy / 0.75, 0))
    net.forward(x)
    assert (net.forward(x) != 0).tolist() != kept.tolist()
    net.reset_dropout_masks()
    assert np.array_equal(net.forward(x), out)
    assert np.array_equal(net.predict(x), x)


def test_both_backends_draw_the_same_masks():
    nets = [network(backend=backend) for backend in ("numba", "numpy")]
    for net in nets:
        fit(net)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-9, atol=1e-12)


def test_derivatives_and_validation_are_of_what_predict_computes():
    X, y = data()
    net, without = network(), network(p=0)
    loss = cr.MSELoss()
    value, expected = loss(net.predict(X), y)[0], loss(without.predict(X), y)[0]
    assert value == expected
    history = fit(net, validation=(X, y))
    assert history.validation_loss[-1] == pytest.approx(loss(net.predict(X), y)[0])


def test_probability_zero_is_no_instruction():
    assert not network(p=0).make_plan((8,), 4, training=True).draws_masks
    plan = network().make_plan((8,), 4, training=True)
    assert plan.draws_masks
    assert len(plan.steps) - len(plan.fused) == 3  # the ReLU stays within the linear step


def test_gradcheck_has_masks_that_stay_and_sees_a_wrong_scale(monkeypatch):
    X, y = data(6)
    shared = cr.Shared(cr.Linear(8, 8), cr.Tanh(), cr.Dropout(0.3))
    net = cr.Sequential(shared, cr.Residual(shared, cr.Dropout(0.5)), cr.Linear(8, 3), seed=0)
    if not JIT_DISABLED:  # else it takes long
        assert cr.gradcheck(net, cr.MSELoss(), X, y).passed
    net = cr.Sequential(cr.Linear(8, 4), cr.Dropout(0.4), cr.Linear(4, 3), seed=3, backend="numpy")
    assert cr.gradcheck(net, cr.MSELoss(), X, y).passed
    code_of = binding.code_of

    def wrong(function, backend):
        right = code_of(function, backend)

        def scaled(dy, dx, p, *numbers):
            right(dy, dx, p, *numbers)
            dx *= 1 - p

        return scaled if function.code is dropout_backward else right

    monkeypatch.setattr(binding, "code_of", wrong)
    with pytest.raises(cr.GradientMismatch):
        cr.gradcheck(net.copy(), cr.MSELoss(), X, y)


def test_each_place_of_a_shared_dropout_has_its_own_mask():
    drop = cr.Shared(cr.Dropout(0.5))
    net = cr.Sequential(cr.Parallel(drop, drop, combine="concatenate"), seed=0)
    left, right = np.hsplit(net.forward(np.ones((50, 20))), 2)
    assert not np.array_equal(left, right)


@pytest.mark.skipif(JIT_DISABLED, reason="plain Python runs in one thread")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("eager_threads")
def test_same_bits_with_any_number_of_threads(dtype):
    results = []
    for threads in (1, 2, 3):
        with cr.threads(threads):
            net = network(dtype=dtype)
            fit(net, batch_size=27)
            net.backward(net.forward(data(27)[0]))
        results.append(np.concatenate([net.params, net.grads]))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_masks_follow_from_the_seed_and_go_on_when_resumed(tmp_path):
    whole, half, resumed, other = (network() for _ in range(4))
    path = tmp_path / "run.safetensors"
    fit(whole, epochs=4)
    fit(half, epochs=2, checkpoint=path)
    fit(resumed, epochs=4, checkpoint=path, resume=True)
    fit(other, epochs=4, seed=1, shuffle=False)
    assert np.array_equal(whole.params, resumed.params)
    by_seed = [network() for _ in range(2)]
    for seed, net in enumerate(by_seed):
        fit(net, seed=seed, shuffle=False)
    assert not np.array_equal(by_seed[0].params, by_seed[1].params)


def test_saved_and_loaded(tmp_path):
    network().save(tmp_path / "net.safetensors")
    assert cr.load(tmp_path / "net.safetensors").layers[2] == cr.Dropout(0.4)


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (1.0, ValueError, r"Dropout's p must be at least 0 and less than 1, not 1\.0"),
        (-0.1, ValueError, r"less than 1, not -0\.1"),
        (np.nan, ValueError, "less than 1, not nan"),
        ("0.5", TypeError, "Dropout's p must be a number, not '0.5'"),
    ],
)
def test_wrong_probability(p, error, message):
    with pytest.raises(error, match=message):
        cr.Dropout(p)


def test_a_network_may_be_told_not_to_drop():
    net = network()
    X, _ = data()
    dropped = net.forward(X)
    net.training = False
    np.testing.assert_allclose(net.copy().forward(X), net.predict(X))
    assert not np.allclose(dropped, net.predict(X))
