"""A loss that is not finite stops the training; the last finite parameters stay."""

import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine.orders import EpochOrders
from chainrule.training import rollback, slice_length


def data(rows=40, scale=1.0):
    rng = np.random.default_rng(0)
    return scale * rng.normal(size=(rows, 4)), rng.normal(size=(rows, 2))


def network(**options):
    return cr.Sequential(cr.Linear(4, 8), cr.ReLU(), cr.Linear(8, 2), seed=0, **options)


def last_finite(net, optimizer, X, y, batch, epochs, rates=()):
    """Train by hand until a loss or a parameter is not finite; return what there was before.

    Where there are ``rates``, each step has the next of them.
    """
    loss, rates = cr.MSELoss(), iter(rates)
    for epoch in range(epochs):
        (order,) = EpochOrders(len(X), 0).epochs(epoch, 1)
        for start in range(0, len(X), batch):
            rows = order[start : start + batch]
            params = net.params.copy()
            try:
                value, d_out = loss(net.forward(X[rows]), y[rows])
                net.backward(d_out)
            except ValueError:  # an output that is not finite
                return params, epoch + 1, start // batch + 1
            if not np.isfinite(value):
                return params, epoch + 1, start // batch + 1
            optimizer.lr = next(rates, optimizer.lr)
            optimizer.step(net)
            if not np.isfinite(net.params).all():
                return params, epoch + 1, start // batch + 1
    raise AssertionError("everything stayed finite")


@pytest.mark.parametrize("copies", [0.0, 1e9], ids=["one copy", "a copy at each slice"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    "make_optimizer",
    [lambda: cr.SGD(lr=3.0), lambda: cr.SGD(lr=1.0, momentum=0.9), lambda: cr.Adam(lr=1e12)],
    ids=["sgd", "momentum", "adam"],
)
def test_network_keeps_its_last_finite_parameters(monkeypatch, make_optimizer, backend, copies):
    if copies:
        monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", copies)
    X, y = data()
    net, twin = network(backend=backend), network(backend=backend)
    options = {"loss": cr.MSELoss(), "batch_size": 16, "epochs": 50, "progress": False}
    with pytest.raises(cr.NonFiniteError) as caught:
        cr.fit(net, X, y, optimizer=make_optimizer(), **options)
    params, epoch, step = last_finite(twin, make_optimizer(), X, y, batch=16, epochs=50)
    assert np.isfinite(net.params).all()
    assert np.array_equal(net.params, params)
    assert (caught.value.epoch, caught.value.step) == (epoch, step)


@pytest.mark.parametrize("every", [1, 5])
def test_the_way_back_knows_which_step_had_which_learning_rate(monkeypatch, every):
    rates = [0.01] * 5 + [0.02] * 5 + [3e38] * 1000  # parameters overflow

    class Schedule(cr.Callback):
        def on_steps(self, training):
            training.optimizer.lr = rates[training.step]

    callback = Schedule()
    callback.every = every
    monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", 1e-9)  # no copy because of the time alone
    repeated = []
    to_last_finite = rollback.Rollback.to_last_finite

    def watched(self):
        repeated.append(sum(rows.size for rows, *_ in self._slices))
        return to_last_finite(self)

    monkeypatch.setattr(rollback.Rollback, "to_last_finite", watched)
    X, y = data()
    y = 100 * y
    net, twin = network(), network()
    with pytest.raises(cr.NonFiniteError):
        cr.fit(
            net, X, y, loss=cr.MSELoss(), optimizer=cr.SGD(rates[0]), batch_size=16, epochs=50,
            callbacks=[callback], progress=False,
        )  # fmt: skip
    params, _, _ = last_finite(twin, cr.SGD(rates[0]), X, y, 16, 50, rates)
    assert np.array_equal(net.params, params)
    assert len(repeated) == 1
    assert 0 < repeated[0] <= 16 * every  # only the steps since the last change of the rate


def test_training_may_go_on_after_it():
    X, y = data()
    net = network()
    with pytest.raises(cr.NonFiniteError):
        cr.fit(net, X, y, loss=cr.MSELoss(), optimizer=cr.SGD(lr=1e20), progress=False)
    net.params = network().params
    history = cr.fit(net, X, y, loss=cr.MSELoss(), epochs=5, progress=False)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize(
    ("position", "name"), [(0, r"Linear \(layer 0\)"), (2, r"Linear \(layer 2\)")]
)
def test_message_names_epoch_step_and_the_first_layer(position, name):
    X, y = data()
    net = network()
    net.parameters()[f"{position}.weight"][...] = 3e38
    with pytest.raises(
        cr.NonFiniteError,
        match=rf"not finite in epoch 1, step 1; .* that of {name}\. .* last finite parameters",
    ) as caught:
        cr.fit(net, X, y, loss=cr.MSELoss(), epochs=1, progress=False)
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    assert (net.parameters()[f"{position}.weight"] == np.float32(3e38)).all()


def test_loss_that_overflows_where_no_output_does():
    X, y = data(scale=1e15)
    net = network()
    before = net.params.copy()
    with pytest.raises(cr.NonFiniteError, match="that of the loss") as caught:
        cr.fit(net, X, 1e25 * y, loss=cr.MSELoss(), epochs=1, progress=False)
    assert caught.value.layer == "the loss"
    assert np.array_equal(net.params, before)


def test_other_layers_first_non_finite_output_is_found():
    X, y = data()
    net = cr.Sequential(cr.Linear(4, 2), cr.SiLU(), cr.Sequential(cr.Linear(2, 2)), seed=0)
    net.parameters()["2.0.bias"][...] = 3e38
    net.parameters()["2.0.weight"][...] = 3e38
    net.parameters()["0.bias"][...] = 100
    with pytest.raises(cr.NonFiniteError, match=r"that of Linear \(layer 2\.0\)"):
        cr.fit(net, X, y, loss=cr.MSELoss(), epochs=1, progress=False)


class Pause(cr.Callback):
    """Lets compiled code pause after each few steps, and notes what it is told at the end."""

    def __init__(self, every):
        self.every = every

    def on_fit_end(self, training):
        self.ended = training.epoch, training.step


class Rising(cr.schedules.Schedule):
    """A rate that is harmless until ``first``, where it is as high as float32 goes."""

    def __init__(self, first):
        self.first = first

    def rates(self, steps):
        return np.where(steps < self.first, 1e-12, 3e38 / (1 + np.maximum(0, steps - self.first)))


def dies_silently(first):
    """A unit whose weight overflows at step ``first``, and whose output is 0 from then on."""
    net = cr.Sequential(cr.Linear(1, 1, bias=False), cr.ReLU(), seed=0)
    net.params = [1.0]
    return net, np.ones((14, 1)), np.full((14, 1), -1e20), cr.HuberLoss(1e10), Rising(first)


def overflows(first):
    """A loss that overflows soon after step ``first``."""
    return network(), *data(14), cr.MSELoss(), Rising(first)


@pytest.mark.parametrize("make", [dies_silently, overflows])
@pytest.mark.parametrize("first", [0, 4, 9, 17])
def test_what_is_reported_follows_from_the_steps_alone_and_not_from_pauses(
    monkeypatch, make, first
):
    reports = []
    for every, share, seconds, validated in (
        (None, 0.0, 100.0, False),
        (1, 0.0, 100.0, False),
        (1, 1e9, 100.0, False),
        (3, 1e-9, 1e-9, False),
        (5, 1e9, 100.0, True),
        (None, 1e9, 100.0, True),
    ):
        net, X, y, loss, schedule = make(first)
        monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", share or 0.02)
        monkeypatch.setattr(slice_length, "SLICE_SECONDS", seconds)
        pause, optimizer = Pause(every), cr.SGD()
        average = cr.ExponentialMovingAverage(net, 0.5)
        with pytest.raises(cr.NonFiniteError) as caught:
            cr.fit(
                net, X, y, loss=loss, optimizer=optimizer, batch_size=3, epochs=8, average=average,
                schedule=schedule, callbacks=[pause], progress=False,
                validation=(X, y) if validated else None,
            )  # fmt: skip
        error = caught.value
        steps = (error.epoch - 1) * 5 + error.step - 1
        assert len(error.history.batch_loss) == steps
        assert len(error.history.loss) == len(error.history.seconds) == error.epoch - 1
        assert pause.ended == (error.epoch - 1, steps)
        assert optimizer.state(net).step == steps
        assert np.isfinite([*net.params, *average.network.params]).all()
        reports.append(
            (
                str(error), error.layer, error.history.batch_loss, error.history.loss,
                error.history.lr, net.params.tolist(), average.network.params.tolist(),
                optimizer.lr,
            )
        )  # fmt: skip
    assert all(report == reports[0] for report in reports)
    if make is dies_silently:
        assert steps == first


def test_a_step_that_overflows_is_named_with_its_parameter_and_gradient():
    net, X, y, loss, schedule = dies_silently(2)
    with pytest.raises(
        cr.NonFiniteError,
        match=r"The optimizer's step is not finite in epoch 1, step 3; the first such parameter "
        r"is 0\.weight of Linear \+? ?.*\(layer 0\), whose gradient is as large as 1e\+10\.",
    ):
        cr.fit(net, X, y, loss=loss, batch_size=3, schedule=schedule, optimizer=cr.SGD(),
               progress=False)  # fmt: skip


@pytest.mark.parametrize("optimizer", [cr.Adam, cr.AdamW])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_gradient_whose_square_overflows_ends_the_training_instead_of_freezing_it(
    optimizer, backend
):
    X, y = np.full((8, 1), 1e15), np.full((8, 1), -1e14)
    options = {"loss": cr.HuberLoss(1e8), "batch_size": 8, "epochs": 3, "progress": False}
    net = cr.Sequential(cr.Linear(1, 1), seed=0, backend=backend)
    before = net.params.copy()
    with pytest.raises(cr.NonFiniteError, match=r"0\.weight .* gradient is as large as 1e\+23"):
        cr.fit(net, X, y, optimizer=optimizer(), **options)
    assert np.array_equal(net.params, before)
    cr.fit(net, X, y, optimizer=optimizer(lr=0.1), clip_norm=1.0, **options)
    assert abs(net.params - before).max() > 0.2


def test_the_average_is_that_of_the_last_finite_step_after_a_later_copy(monkeypatch):
    monkeypatch.setattr(rollback, "COPY_TIME_FRACTION", 1e9)  # a copy at each slice
    X, y = data()
    net, twin = network(), network()
    averages = [cr.ExponentialMovingAverage(n, 0.75) for n in (net, twin)]
    with pytest.raises(cr.NonFiniteError) as caught:
        cr.fit(
            net, X, y, loss=cr.MSELoss(), optimizer=cr.SGD(lr=3.0), batch_size=16, epochs=50,
            average=averages[0], callbacks=[Pause(2)], progress=False,
        )  # fmt: skip
    steps = (caught.value.epoch - 1) * 3 + caught.value.step - 1
    assert steps > 4
    optimizer, loss = cr.SGD(lr=3.0), cr.MSELoss()
    for step in range(steps):
        (order,) = EpochOrders(len(X), 0).epochs(step // 3, 1)
        rows = order[step % 3 * 16 : (step % 3 + 1) * 16]
        twin.backward(loss(twin.forward(X[rows]), y[rows])[1])
        optimizer.step(twin)
        averages[1].update()
    assert np.array_equal(net.params, twin.params)
    assert np.array_equal(averages[0].network.params, averages[1].network.params)


def test_the_error_comes_out_of_other_processes():
    X, y = data()
    with pytest.raises(cr.NonFiniteError) as caught:
        cr.fit(network(), X, y, loss=cr.MSELoss(), optimizer=cr.SGD(lr=3.0), epochs=50,
               progress=False)  # fmt: skip
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert (copy.epoch, copy.step, copy.layer) == (
        caught.value.epoch, caught.value.step, caught.value.layer,
    )  # fmt: skip
    assert copy.history == caught.value.history


def test_an_optimizer_or_average_that_is_not_finite_is_refused_before_training():
    X, y = data()
    net, optimizer = network(), cr.SGD(lr=0.1, momentum=0.5)
    average = cr.ExponentialMovingAverage(net)
    before = net.params.copy()
    net.grads[0] = np.nan
    optimizer.step(net)
    net.params = before
    with pytest.raises(ValueError, match="optimizer holds NaN or infinity"):
        cr.fit(net, X, y, loss=cr.MSELoss(), optimizer=optimizer, progress=False)
    average.network.params[0] = np.inf
    with pytest.raises(ValueError, match=r"average\.network\.params must be finite"):
        cr.fit(net, X, y, loss=cr.MSELoss(), average=average, progress=False)
    assert np.array_equal(net.params, before)
