"""Trainings of one network keep their machines for the next: plans are made once."""

import pickle

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(30, 3))
Y = X[:, :1] ** 2


@pytest.fixture
def plans(monkeypatch):
    """Return a list that grows with each plan that a network makes."""
    made, make_plan = [], cr.Sequential.make_plan

    def noted(self, *args, **options):
        made.append(args)
        return make_plan(self, *args, **options)

    monkeypatch.setattr(cr.Sequential, "make_plan", noted)
    return made


def network(dropout=0.0):
    dropouts = [cr.Dropout(dropout)] if dropout else []
    return cr.Sequential(cr.Linear(3, 4), cr.Tanh(), *dropouts, cr.Linear(4, 1), seed=0)


def train(net, loss=None, **options):
    options = {"batch_size": 10, "epochs": 2, "progress": False, "validation": (X, Y)} | options
    return cr.fit(net, X, Y, loss=cr.MSELoss() if loss is None else loss, **options)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_second_training_makes_no_plan(plans, dropout):
    net, optimizer = network(dropout), cr.SGD(0.1)
    train(net, optimizer=optimizer)
    twin, its_optimizer = pickle.loads(pickle.dumps((net, optimizer)))  # without machines
    made = len(plans)
    history = train(net, optimizer=optimizer)
    assert len(plans) == made
    assert train(twin, optimizer=its_optimizer).batch_loss == history.batch_loss
    assert len(plans) > made
    np.testing.assert_array_equal(twin.params, net.params)


@pytest.fixture
def one_thread():
    with cr.threads(1):  # as the numpy backend has
        yield


@pytest.mark.usefixtures("one_thread")
def test_what_a_plan_depends_on_makes_another(plans):
    net = network()
    train(net)
    changes = [
        {"loss": cr.HuberLoss()},
        {"loss": cr.HuberLoss(0.5)},
        {"batch_size": 7},
        {"backend": "numpy"},
    ]
    for change in changes:
        made = len(plans)
        train(net, **change)
        assert len(plans) > made, change
    made = len(plans)
    for change in changes:
        train(net, **change)
    assert len(plans) == made
    train(network())
    assert len(plans) > made


def test_a_training_inside_a_training_has_a_machine_of_its_own():
    net, seen = network(), []

    class Inner(cr.Callback):
        def on_epoch_end(self, training):
            before = net.params.copy()
            train(net, epochs=1)
            seen.append(not np.array_equal(net.params, before))
            net.params = before

    alone = network()
    train(alone, optimizer=cr.SGD(0.1))
    train(net, optimizer=cr.SGD(0.1), callbacks=[Inner()])
    assert seen == [True, True]
    np.testing.assert_array_equal(alone.params, net.params)


def test_a_machine_that_has_failed_is_not_used_again(plans):
    class Fails(cr.NumPyLoss):
        broken = True

        def forward(self, output, target):
            if self.broken:
                raise RuntimeError("broken")
            with np.errstate(over="ignore"):
                return ((output - target) ** 2).sum(axis=1), 2 * (output - target)

    net, loss = network(), Fails()
    with pytest.raises(RuntimeError, match="broken"):
        train(net, loss)
    loss.broken = False
    made, net.params = len(plans), network().params
    train(net, loss)
    assert len(plans) > made
    with pytest.raises(cr.NonFiniteError):
        train(net, loss, optimizer=cr.SGD(1e30), epochs=9)
    made, net.params = len(plans), network().params
    train(net, loss)
    assert len(plans) > made
