"""Callbacks: when they are called, what they are given, and that they change nothing."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import epoch_runner, slice_length

pytestmark = pytest.mark.once


def data(rows=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 8)), rng.integers(0, 5, rows)


def network():
    return cr.Sequential(cr.Linear(8, 16), cr.ReLU(), cr.Linear(16, 5), seed=0)


def fit(net, X, y, *callbacks, **options):
    """Four steps an epoch, the last one of two rows."""
    defaults = {"loss": cr.CrossEntropyLoss(), "epochs": 3, "batch_size": 16, "progress": False}
    return cr.fit(net, X, y, callbacks=callbacks, **defaults | options)


class Steps(cr.Callback):
    """Notes after which steps it was called, and may stop the training there."""

    def __init__(self, every=None, stop_at=None):
        self.every, self.stop_at = every, stop_at
        self.steps = []

    def on_steps(self, training):
        assert len(training.history.batch_loss) == training.step
        self.steps.append(training.step)
        if training.step == self.stop_at:
            training.stop()


class Everything(Steps):
    def __init__(self, every=None):
        super().__init__(every)
        self.calls = []

    def on_fit_begin(self, training):
        self.calls.append(("begin", training.epoch, training.step))

    def on_steps(self, training):
        self.calls.append(("steps", training.epoch, training.step))

    def on_epoch_end(self, training):
        assert len(training.history.loss) == training.epoch
        self.calls.append(("epoch", training.epoch, training.step))

    def on_fit_end(self, training):
        self.calls.append(("end", training.epoch, training.step))


def test_the_order_of_calls():
    X, y = data()
    callback = Everything(every=3)
    fit(network(), X, y, callback, epochs=2, validation=(X, y))
    assert callback.calls == [
        ("begin", 0, 0),
        ("steps", 0, 3),
        ("epoch", 1, 4),
        ("steps", 1, 6),
        ("epoch", 2, 8),
        ("end", 2, 8),
    ]


@pytest.mark.parametrize("slice_seconds", [0.0, 0.1, 100.0])
@pytest.mark.parametrize("every", [1, 2, 3, 4, 7, 30, 1000])
def test_slices_end_where_a_callback_asks_and_the_training_is_the_same(
    every, slice_seconds, monkeypatch
):
    monkeypatch.setattr(slice_length, "SLICE_SECONDS", slice_seconds)
    X, y = data()
    alone, watched = network(), network()
    expected = fit(alone, X, y, epochs=25)
    callbacks = Steps(every), Steps(5), Steps()
    history = fit(watched, X, y, *callbacks, epochs=25)
    assert callbacks[0].steps == list(range(every, 101, every))
    assert callbacks[1].steps == list(range(5, 101, 5))
    assert callbacks[2].steps == []
    assert np.array_equal(alone.params, watched.params)
    assert history.batch_loss == expected.batch_loss
    assert history.loss == expected.loss


def slices_of(monkeypatch, *callbacks):
    """Return how many steps each compiled call did."""
    sizes = []
    run_slice = epoch_runner.EpochRunner._run_slice

    def watched(self, *arguments):
        weights, losses = run_slice(self, *arguments)
        sizes.append(losses.size)
        return weights, losses

    with monkeypatch.context() as patch:
        patch.setattr(epoch_runner.EpochRunner, "_run_slice", watched)
        patch.setattr(slice_length, "SLICE_SECONDS", 100.0)
        fit(network(), *data(), *callbacks, epochs=100)
    return sizes


def test_short_epochs_run_together_unless_somebody_looks_at_each(monkeypatch):
    alone = slices_of(monkeypatch)
    assert alone[-1] > 4
    assert slices_of(monkeypatch, Steps()) == alone
    assert max(slices_of(monkeypatch, Everything())) == 4
    assert max(slices_of(monkeypatch, Steps(every=50))) == 48


def test_one_that_asks_for_any_pause_costs_none(monkeypatch):
    class Whenever(Steps):
        def next_step(self, step):
            return step

    callback = Whenever()
    alone = slices_of(monkeypatch)
    assert slices_of(monkeypatch, callback) == alone
    assert callback.steps == np.cumsum(alone).tolist()


def test_a_callback_can_stop_between_steps():
    X, y = data()
    net, twin = network(), network()
    callback = Steps(every=2, stop_at=6)
    history = fit(net, X, y, callback, shuffle=False)
    assert callback.steps == [2, 4, 6]
    assert len(history.batch_loss) == 6
    assert len(history.loss) == 1  # the second epoch was not finished
    assert not history.interrupted
    optimizer = cr.Adam()
    fit(twin, X, y, epochs=1, shuffle=False, optimizer=optimizer)
    fit(twin, X[:32], y[:32], epochs=1, shuffle=False, optimizer=optimizer)
    assert np.array_equal(net.params, twin.params)


def test_a_callback_can_stop_after_an_epoch_and_before_the_first_step():
    class Stop(Everything):
        def on_epoch_end(self, training):
            super().on_epoch_end(training)
            training.stop()
            assert training.stopped

    X, y = data()
    callback = Stop()
    history = fit(network(), X, y, callback, validation=(X, y))
    assert len(history.loss) == len(history.validation_loss) == 1
    assert callback.calls[-1] == ("end", 1, 4)

    class StopAtOnce(cr.Callback):
        def on_fit_begin(self, training):
            training.stop()

    assert fit(network(), X, y, StopAtOnce()).batch_loss == []


def test_stopping_at_the_last_step_of_an_epoch_finishes_it():
    history = fit(network(), *data(), Steps(every=4, stop_at=4))
    assert len(history.loss) == 1


class Schedule(cr.Callback):
    """Halves the learning rate after each epoch."""

    def on_epoch_end(self, training):
        training.optimizer.lr /= 2


@pytest.mark.parametrize("others", [[], [cr.GradientFlow(every=1)]], ids=["alone", "with flow"])
def test_a_callback_may_set_the_learning_rate(others):
    X, y = data()
    constant, scheduled, twin = network(), network(), network()
    fit(constant, X, y, *others, shuffle=False)
    optimizer = cr.Adam()
    fit(scheduled, X, y, Schedule(), *others, optimizer=optimizer, shuffle=False)
    assert optimizer.lr == 0.001 / 8
    by_hand = cr.Adam()
    for _ in range(3):
        fit(twin, X, y, epochs=1, optimizer=by_hand, shuffle=False)
        by_hand.lr /= 2
    assert np.array_equal(scheduled.params, twin.params)
    assert not np.array_equal(scheduled.params, constant.params)


def test_a_next_step_between_two_steps_is_rounded_up():
    class Fractions(Steps):
        def next_step(self, step):
            return step + 0.5 if step < 4 else step + 1.5

    callback = Fractions()
    fit(network(), *data(), callback)
    assert callback.steps == [1, 2, 3, 4, 6, 8, 10, 12]


def test_what_a_callback_is_given():
    given = []

    class Look(cr.Callback):
        def on_fit_begin(self, training):
            given.append(training)

    X, y = data()
    net, loss, optimizer = network(), cr.CrossEntropyLoss(), cr.SGD()
    weights = np.arange(1.0, 51.0)
    history = fit(net, X, y, Look(), loss=loss, optimizer=optimizer, sample_weight=weights)
    training = given[0]
    assert training.network is net
    assert training.loss is loss
    assert training.optimizer is optimizer
    assert training.history is history
    assert (training.batch_size, training.epochs, training.backend) == (16, 3, "numba")
    assert (training.epoch, training.step) == (3, 12)
    some_x, some_y, some_weights = training.probe(5)
    rows = [0, 10, 20, 30, 40]
    assert np.array_equal(some_x, X[rows])
    assert np.array_equal(some_y, y[rows])
    assert np.array_equal(some_weights, weights[rows])
    all_x, all_y, _ = training.probe(1000)
    assert np.array_equal(all_x, X)
    loss(net.predict(all_x), all_y)  # takes them as they are

    fit(cr.Sequential(cr.Linear(8, 1), seed=0), X, X[:, 0], Look(), loss=cr.MSELoss())
    assert given[1].y.shape == (50, 1)
    assert given[1].probe(2)[2] is None


def test_an_error_in_a_callback_is_the_users():
    class Broken(Steps):
        def on_steps(self, training):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(network(), *data(), Broken(every=1))


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (cr.GradientFlow(), "callbacks must be a list of callbacks, not GradientFlow"),
        ([cr.GradientFlow], r"callbacks\[0\] is no Callback but .* Did you forget the brackets\?"),
        ([Steps(), print], r"callbacks\[1\] is no Callback but <built-in"),
        ([Steps(every="often")], r"every of callbacks\[0\] must be an integer"),
    ],
)
def test_bad_callbacks_are_named_before_anything_happens(callbacks, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(TypeError, match=message):
        cr.fit(net, *data(), loss=cr.CrossEntropyLoss(), callbacks=callbacks, progress=False)
    assert np.array_equal(net.params, before)
    with pytest.raises(ValueError, match=r"every of callbacks\[0\] must be at least 1, not 0"):
        fit(net, *data(), Steps(every=0))


def test_epochs_run_together_until_somebody_must_look():
    looks = []

    class Fifth(cr.Callback):
        def next_epoch(self, epoch):
            return epoch + 5

        def on_epoch_end(self, training):
            assert len(training.history.loss) == training.epoch
            looks.append(training.epoch)

    X = np.ones((4, 2))
    net = cr.Sequential(cr.Linear(2, 1), seed=0)
    options = {"batch_size": 4, "progress": False, "callbacks": [Fifth()]}
    cr.fit(net, X, X[:, 0], loss=cr.MSELoss(), epochs=100, **options)
    assert looks[-1] == 100
    assert 5 in np.diff(looks)
    assert max(np.diff(looks)) == 5
