"""Freezing: which parameters a network has frozen, and what knows of it."""

import pickle
from copy import deepcopy

import numpy as np
import pytest

import chainrule as cr


def network():
    return cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0)


def test_patterns_freeze_and_unfreeze():
    net = network()
    assert net.frozen == ()
    net.freeze("0.*")
    net.freeze("2.bias", "0.bias")
    assert net.frozen == ("0.weight", "0.bias", "2.bias")
    assert net.frozen_ranges() == ((0, 12), (12, 16), (24, 26))
    net.unfreeze("*.bias")
    assert net.frozen == ("0.weight",)
    net.unfreeze()
    assert net.frozen == ()
    net.unfreeze()
    cr.Sequential(cr.Tanh(), seed=0).unfreeze()


@pytest.mark.parametrize(
    ("patterns", "error", "message"),
    [
        ((), ValueError, "freeze needs patterns of names"),
        (
            ("0.*", "1.*"),
            ValueError,
            "pattern '1.*' that matches no parameter of the network; these",
        ),
        (("0.*", 0), TypeError, "freeze takes patterns of names, not 0"),
    ],
)
def test_wrong_patterns_freeze_nothing(patterns, error, message):
    net = network()
    with pytest.raises(error, match=message):
        net.freeze(*patterns)
    assert net.frozen == ()


def test_copies_and_networks_around_it_stay_frozen():
    net = network()
    net.freeze("0.*")
    for copy in (net.copy(), net.copy("float64"), deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert copy.frozen == net.frozen
    around = cr.Sequential(cr.Linear(3, 3), cr.Residual(cr.Linear(3, 3)), net, seed=0)
    assert around.frozen == ("2.0.weight", "2.0.bias")
    net.unfreeze()
    assert around.frozen == ("2.0.weight", "2.0.bias")  # it has its own parameters


def test_a_pickle_of_before_has_nothing_frozen():
    net = network()
    state = net.__getstate__()
    del state["_frozen"]
    restored = cr.Sequential.__new__(cr.Sequential)
    restored.__setstate__(state)
    assert restored.frozen == ()


def test_the_summary_counts_them():
    net = network()
    net.freeze("0.*")
    assert str(net.summary()).endswith("26 parameters (16 frozen), float32, 0.1 KiB")


def test_the_norm_by_hand_is_that_of_what_is_trained():
    net = network()
    net.freeze("*.weight")
    net.grads[:] = 1.0
    assert cr.clip_grad_norm(net, 10.0) == pytest.approx(np.sqrt(6))


def test_a_network_is_called_as_its_forward_pass():
    net, twin = network(), network()
    x = np.ones((5, 3))
    out = net(x)
    assert np.array_equal(out, twin.forward(x))
    assert np.array_equal(net.backward(out), twin.backward(out))
