"""Training on batches that an iterable gives: as on arrays, with what only an iterable can do."""

import weakref
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine.interpreter import run
from chainrule.models.data_set import DataSet
from chainrule.training import rollback

rng = np.random.default_rng(0)
X, Y, WEIGHTS = rng.normal(size=(70, 8)), rng.integers(0, 5, 70), rng.random(70)
HELD_OUT = X[:10], Y[:10]
STARTS = range(0, 70, 16)


def network():
    return cr.Sequential(cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5), seed=0)


def fit(net, *data, **options):
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 3, "progress": False}
    return cr.fit(net, *data, **defaults | options)


def generate():
    """Fill the same memory again and again."""
    x, y = np.empty((16, 8)), np.empty(16, int)
    for start in STARTS:
        rows = min(16, 70 - start)
        x[:rows], y[:rows] = X[start : start + rows], Y[start : start + rows]
        yield x[:rows], y[:rows]


class Loader:
    """Gives lists, as PyTorch's does."""

    def __len__(self):
        return len(STARTS)

    def __iter__(self):
        return ([x.copy(), y.copy()] for x, y in generate())


class Count(cr.Callback):
    every = 2

    def __init__(self):
        self.seen = []

    def on_steps(self, training):
        self.seen.append((training.epoch, training.step, len(training.history.batch_loss)))


@pytest.mark.parametrize("data", [list(Loader()), Loader(), generate], ids=["list", "len", "call"])
def test_it_trains_as_on_arrays(data):
    nets, histories, counts = (network(), network()), [], (Count(), Count())
    averages = [cr.ExponentialMovingAverage(net, decay=0.9) for net in nets]
    for net, given, options in (
        (nets[0], (X, Y), {"batch_size": 16, "shuffle": False}),
        (nets[1], (data,), {}),
    ):
        histories.append(
            fit(
                net, *given, validation=HELD_OUT, metrics=[cr.metrics.top_k_accuracy],
                schedule=cr.schedules.CosineAnnealingLR(0.01, steps=15), optimizer=cr.AdamW(),
                callbacks=[counts[len(histories)], cr.GradientFlow(every=7)],
                clip_norm=0.5, average=averages[len(histories)], **options,
            )
        )  # fmt: skip
    assert np.array_equal(nets[0].params, nets[1].params)
    assert np.array_equal(averages[0].network.params, averages[1].network.params)
    first, second = histories
    assert counts[0].seen == counts[1].seen
    assert first.metrics == second.metrics
    for name in ("loss", "batch_loss", "lr", "validation_loss", "validation_accuracy"):
        assert getattr(first, name) == getattr(second, name)


def test_weights_come_with_the_batches():
    net, twin = network(), network()
    batches = [(X[i : i + 16], Y[i : i + 16], WEIGHTS[i : i + 16]) for i in STARTS]
    fit(net, batches)
    fit(twin, X, Y, sample_weight=WEIGHTS, batch_size=16, shuffle=False)
    assert np.array_equal(net.params, twin.params)


def test_nothing_is_compiled_anew_for_batches():
    fit(network(), X, Y, sample_weight=WEIGHTS)
    fit(network(), X, Y)
    before = len(getattr(run, "signatures", ()))
    fit(network(), [(X, Y, WEIGHTS), (X, Y)])
    assert len(getattr(run, "signatures", ())) == before


def test_batches_may_have_any_number_of_rows():
    net, twin, optimizer, loss = network(), network(), cr.Adam(), cr.CrossEntropyLoss()
    cuts = [0, 5, 25, 26, 70]
    batches = [(X[i:j], Y[i:j]) for i, j in pairwise(cuts)]
    fit(net, iter(batches), epochs=1)
    for x, y in batches:
        twin.backward(loss(twin.forward(x), y)[1])
        optimizer.step(twin)
    assert np.allclose(net.params, twin.params, rtol=1e-6, atol=1e-7)


def test_a_stop_within_an_epoch_of_unknown_length(capsys):
    def endless():
        while True:
            yield from generate()

    class Stop(cr.Callback):
        every = 12

        def on_steps(self, training):
            training.stop()

    history = fit(network(), endless, callbacks=[Stop()], progress=True)
    assert (len(history.batch_loss), history.loss) == (12, [])
    assert fit(network(), generate, epochs=2, progress=True).loss
    assert "epoch 2/2" in capsys.readouterr().out


@pytest.mark.parametrize("sizes", [(16,) * 4, (8, 8, 16, 32)], ids=["equal", "growing"])
def test_the_way_back_to_the_last_finite_parameters(sizes):
    x, y = X[:64], X[:64, :5]

    def batches():
        memory, start = np.empty((32, 8)), 0
        for size in sizes:
            memory[:size] = x[start : start + size]
            yield memory[:size], y[start : start + size]
            start += size

    net, twin = network(), network()
    with pytest.raises(cr.NonFiniteError) as caught:
        fit(net, batches, loss=cr.MSELoss(), optimizer=cr.SGD(lr=5.0), epochs=100)
    optimizer, loss = cr.SGD(lr=5.0), cr.MSELoss()
    for step in range((caught.value.epoch - 1) * 4 + caught.value.step - 1):
        start = sum(sizes[: step % 4])
        rows = slice(start, start + sizes[step % 4])
        twin.backward(loss(twin.forward(x[rows]), y[rows])[1])
        optimizer.step(twin)
    assert np.isfinite(net.params).all()
    assert np.allclose(net.params, twin.params, rtol=1e-3)


class Jump(cr.schedules.Schedule):
    def rates(self, steps):
        return np.where(steps < 2, 0.1, 3e38)


@pytest.mark.parametrize("bad", ["batch", "rate"])  # a loss, or a parameter, that overflows
def test_the_way_back_from_a_third_batch_after_a_larger_second(monkeypatch, bad):
    monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", 1e-9)  # no copy because of the time alone
    batches = [(X[:8], X[:8, :5]), (X[8:40], X[8:40, :5]), (X[:8], 100 * X[:8, :5])]
    options = {"schedule": Jump()}
    if bad == "batch":
        batches[2], options = (X[:8], 1e30 * X[:8, :5]), {}
    net = cr.Sequential(cr.Linear(8, 64), cr.Tanh(), cr.Linear(64, 5), seed=0)
    optimizer, loss, twin = cr.SGD(0.1), cr.MSELoss(), net.copy()
    with pytest.raises(cr.NonFiniteError) as caught:
        fit(net, batches, loss=loss, optimizer=cr.SGD(0.1), **options)
    for x, y in batches[:2]:
        twin.backward(loss(twin.forward(x), y)[1])
        optimizer.step(twin)
    assert (caught.value.epoch, caught.value.step) == (1, 3)
    assert len(caught.value.history.batch_loss) == 2
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-5, atol=1e-7)


def test_a_long_epoch_does_not_keep_its_batches(monkeypatch):
    monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", 1e-9)  # no copy because of the time alone
    copies, copy = [], DataSet.copy

    def watched(batch):
        copied = copy(batch)
        copies.append(weakref.ref(copied.inputs))
        return copied

    class Look(cr.Callback):
        every = 1
        most = 0

        def on_steps(self, training):
            self.most = max(self.most, sum(copied() is not None for copied in copies))

    monkeypatch.setattr(DataSet, "copy", watched)
    look, net = Look(), network()
    fit(net, 40 * list(Loader()), callbacks=[look], epochs=1)
    # Its copy has the parameters and Adam's two vectors; five batches have 70 rows of 9 numbers.
    assert 1 <= look.most <= 3 * net.params.size / (70 * 9 / 5) + 4


PAIR = X[:4], Y[:4]


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (X, {}, TypeError, "y is missing"),
        (3, {}, TypeError, "X must be an array, an iterable of batches"),
        (lambda: 3, {}, TypeError, "must return an iterable of batches, not 3"),
        ([], {}, ValueError, "The iterable of batches is empty"),
        (lambda: [], {}, ValueError, "The iterable of batches is empty"),
        ((X, Y), {}, TypeError, r"^y is missing"),
        ([(*PAIR, None, 1)], {}, TypeError, "Batch 1 of epoch 1: .* a tuple of 4"),
        ([(X[0], Y[0])], {}, ValueError, "Batch 1 of epoch 1: x must have shape"),
        ([(X[:4], Y[:3])], {}, ValueError, r"Batch 1 of epoch 1: y must have shape \(4,\)"),
        ([(*PAIR, [np.nan] * 4)], {}, ValueError, "Batch 1 of epoch 1: sample_weight must be"),
        (generate(), {}, ValueError, "epochs is 3, but a generator can be iterated over once"),
        ([PAIR], {"batch_size": 4}, ValueError, "batch_size is for arrays X and y"),
        ([PAIR], {"shuffle": True}, ValueError, "shuffle is for arrays"),
        ([PAIR], {"sample_weight": WEIGHTS}, ValueError, "sample_weight is for arrays"),
        ([PAIR], {"checkpoint": "c"}, ValueError, "checkpoint is for arrays"),
    ],
)
def test_bad_batches_are_refused_before_anything_is_changed(data, options, error, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        fit(net, data, **options)
    assert np.array_equal(net.params, before)


def test_another_bad_argument_costs_no_batch():
    once = generate()
    with pytest.raises(TypeError, match="schedule"):
        fit(network(), once, epochs=1, schedule=0.1)
    assert len(fit(network(), once, epochs=1).batch_loss) == len(STARTS)


def test_a_bad_batch_later_leaves_what_was_trained_before_it():
    net, twin = network(), network()
    flat = cr.Sequential(cr.Tanh(), seed=0)
    with pytest.raises(ValueError, match=r"Batch 2 of epoch 1: x must be finite, but x\[0, 0\]"):
        fit(net, [PAIR, (np.nan * X[:4], Y[:4])])
    fit(twin, [PAIR], epochs=1)
    assert np.array_equal(net.params, twin.params)
    with pytest.raises(ValueError, match=r"shape of those before, \(8,\), but have \(5,\)"):
        fit(flat, [(X, X), (X[:, :5], X[:, :5])], loss=cr.MSELoss())
    once = Loader()
    once.__class__ = type("Once", (Loader,), {"__iter__": lambda self: self.batches})
    once.batches = generate()
    with pytest.raises(ValueError, match="no batches in epoch 2: each epoch iterates"):
        fit(net, once)
