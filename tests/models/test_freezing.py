"""Freezing: which parameters a network has frozen, and what knows of it."""

import pickle
from copy import deepcopy

import numpy as np
import pytest

import chainrule as cr
from chainrule.kernels.context import Flag, Section


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
        (("0.*", 0), TypeError, "freeze takes patterns of names such as '0.*', not 0"),
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


# What is frozen is left out of the backward pass

TRAINED = [
    cr.Linear(4, 4),
    cr.BatchNorm(4),
    cr.LayerNorm(4),
    cr.PReLU(4),
    cr.Residual(cr.Linear(4, 4), cr.PReLU()),
    cr.Parallel(cr.Linear(4, 2), cr.Linear(4, 2), combine="concatenate"),
    cr.Shared(cr.Linear(4, 4)),
]


def around(layer, backend="numba"):
    """Return a network with a layer in its midst, twice: a Shared one has its parameters once."""
    return cr.Sequential(
        *(cr.Linear(3, 4), layer, cr.Tanh(), layer, cr.Linear(4, 2)), seed=0, backend=backend
    )


def gradients_by_hand(net, x, y):
    net.grads[:] = 0
    d_x = net.backward(cr.MSELoss()(net.forward(x), y)[1])
    return {"x": d_x, **{name: view.copy() for name, view in net.gradients().items()}}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("layer", TRAINED, ids=repr)
def test_other_gradients_stay_the_same_and_those_of_frozen_parameters_are_zero(layer, backend):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    net = around(layer, backend)
    names, whole = list(net.parameters()), gradients_by_hand(net, x, y)
    each = [[name] for name in names]
    all_but_one = [[name for name in names if name != trained] for trained in names]
    until_one = [names[:i] for i in range(2, len(names))]
    for frozen in (*each, *all_but_one, *until_one, names):
        net.unfreeze()
        net.freeze(*frozen)
        for name, gradient in gradients_by_hand(net, x, y).items():
            assert np.array_equal(gradient, 0 * whole[name] if name in frozen else whole[name])
        step = cr.train_step(net.copy(), cr.MSELoss(), cr.SGD(lr=0.0))
        step(x, y)
        for name, gradient in step._net.gradients().items():
            assert np.array_equal(gradient, 0 * whole[name] if name in frozen else whole[name])


def computed(net, *patterns):
    """Return the names of the backward pass's functions in a step of fit."""
    net.unfreeze()
    if patterns:
        net.freeze(*patterns)
    plan = net.make_plan((3,), 8, loss=cr.MSELoss(), training=True, frozen=net.frozen)
    begin, end = plan.sections[Section.BACKWARD : Section.BACKWARD + 2]
    calls = (call for call in plan.program[begin:end] if not call.flags & Flag.FOR_INPUT)
    return [call.function.code.__name__ for call in calls]


def test_the_backward_pass_ends_where_nothing_trained_lies_before():
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.PReLU(4), cr.Linear(4, 2), seed=0)
    assert computed(net, "0.*", "2.*") == ["linear_backward_weight", "linear_backward_bias"]
    assert computed(net, "*") == []
    assert "prelu_backward" in computed(net, "0.*")
    assert "tanh_backward" not in computed(net, "0.*")
    assert "tanh_backward" in computed(net, "0.weight")
    assert computed(net, "3.weight").count("linear_backward_weight") == 1


def test_a_frozen_embedding_is_not_differentiated():
    net = cr.Sequential(cr.Embedding(9, 4), cr.Linear(4, 2), seed=0)
    x, y = np.arange(8)[:, None], np.zeros((8, 1, 2))
    net.freeze("0.*")
    cr.fit(net, x, y, loss=cr.MSELoss(), optimizer=cr.SGD(), epochs=1, progress=False)
    gradients = net.gradients()
    assert not gradients["0.weight"].any()
    assert gradients["1.weight"].any()


def test_other_frozen_parameters_need_another_forward():
    net, x = network(), np.ones((2, 3))
    out = net.forward(x)
    net.freeze("0.*")
    with pytest.raises(RuntimeError, match="Other parameters are frozen than in forward"):
        net.backward(out)
    out = net.forward(x)
    net.unfreeze()
    with pytest.raises(RuntimeError, match="Other parameters are frozen than in forward"):
        net.backward(out)
    net.backward(net.forward(x))
    assert net.gradients()["0.weight"].any()


def test_derivatives_are_by_all_parameters():
    net, x, y = network(), np.ones((2, 3)), np.zeros((2, 2))
    function = cr.value_and_grad(net, cr.MSELoss())
    before = function(net.params, x, y)[1]
    net.freeze("0.*")
    assert np.array_equal(function(net.params, x, y)[1], before)
    assert np.array_equal(cr.value_and_grad(net, cr.MSELoss())(net.params, x, y)[1], before)
