"""A loss that is not finite stops the training; the last finite parameters stay."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import rollback
from chainrule.engine.orders import epoch_orders


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
        (order,) = epoch_orders(len(X), epoch, 1, seed=0)
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
        monkeypatch.setattr(rollback, "COPY_SHARE", copies)
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
    monkeypatch.setattr(rollback, "COPY_SHARE", 1e-9)  # no copy because of the time alone
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
    ("position", "name"), [(0, r"Linear \+ ReLU \(layer 0\)"), (2, r"Linear \(layer 2\)")]
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
