"""Three methods to compute one gradient: what they cost, and that they agree."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import gradient_methods, notation

pytestmark = pytest.mark.once

LAYERS = cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2)


@pytest.fixture(autouse=True)
def _little_time(monkeypatch):
    monkeypatch.setattr(gradient_methods, "LIMIT", 0.02)


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def chain_of(*layers, rows=2, dtype="float64", **options):
    net = cr.Sequential(*layers, seed=0, dtype=dtype)
    x = batch((rows, 3))
    return cr.explain(net, cr.MSELoss(), x, batch(net.predict(x).shape, 1), **options)


def counts(order):
    return [method.multiply_adds for method in order.methods]


def test_multiply_adds_counted_by_hand():
    order = chain_of(*LAYERS, rows=5).order()
    forward = 3 * 4 + 4 + 4 * 2 + 2  # linear, tanh, linear, loss
    backward = 2 + (4 * 2 + 2) + 4 * 2 + 4 + (3 * 4 + 4)  # loss, W2 and b2, H, tanh, W1 and b1
    carried = 2 + (3 * 4 + 4) * (4 + 4 * 2) + 2 * 26  # loss, W1 and b1 to O, all 26 to L
    expected = [forward + backward, forward + carried, forward * 27]
    assert counts(order) == [5 * value for value in expected]
    assert (order.parameters, order.rows, order.forward_multiply_adds) == (26, 5, 5 * forward)


def test_multiply_adds_of_one_parameter():
    chain = chain_of(*LAYERS, rows=1)
    forward = 3 * 4 + 4 + 4 * 2 + 2
    assert counts(chain.order("b1")) == [
        forward + 2 + 4 * 2 + 4 + 4,
        forward + 2 + 4 * (4 + 4 * 2) + 2 * 4,
        forward * 5,
    ]
    assert counts(chain.order("2.weight")) == [forward + 2 + 8, forward + 2 + 2 * 8, forward * 9]


def test_what_computes_nothing_costs_nothing():
    with_more = cr.Linear(3, 4), cr.Identity(), cr.Tanh(), cr.Flatten(), cr.Linear(4, 2)
    assert counts(chain_of(*LAYERS).order()) == counts(chain_of(*with_more).order())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_the_three_ways_agree(dtype, merge, rows):
    chain = chain_of(*LAYERS, cr.Softmax(), rows=rows, dtype=dtype, merge=merge)
    eps = float(np.finfo(dtype).eps)
    for name in (None, "W1", "b2"):
        backward, forward, differences = chain.order(name).methods
        assert backward.difference is None
        assert forward.difference <= 100 * eps
        names = list(chain.symbols) if name is None else [chain.find(name)]
        largest = max(np.abs(chain.gradients[name]).max() for name in names)
        # With a step of sqrt(eps), curvature costs about that much, and so does the rounding of
        # the loss, a sum: it grows with the root of the number of terms.
        terms = 2 * rows
        assert differences.difference * largest <= 2 * (eps * terms) ** 0.5 * max(1, chain.loss)
        assert all(method.seconds > 0 for method in (backward, forward, differences))


def test_labels_and_more_axes():
    net = cr.Sequential(cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 3), seed=0, dtype="float64")
    x = batch((4, 3))
    order = cr.explain(net, cr.CrossEntropyLoss(), x, [0, 2, 1, 2]).order()
    assert order.methods[1].difference <= 1e-12
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), seed=0, dtype="float64")
    order = cr.explain(net, cr.MSELoss(), batch((5, 2, 3)), batch((5, 2, 4))).order()
    assert order.methods[1].difference <= 1e-12
    assert order.forward_multiply_adds == 5 * 2 * (12 + 4 + 4)


def test_all_is_measured_where_it_is_small_and_a_part_where_it_is_large():
    backward, forward, _ = chain_of(*LAYERS, rows=3).order("b1").methods
    assert (backward.measured_parameters, backward.measured_rows) == (4, 3)
    assert (forward.measured_parameters, forward.measured_rows) == (4, 3)
    layers = cr.Linear(3, 100), cr.ReLU(), cr.Linear(100, 30)
    large = chain_of(*layers, rows=40, max_elements=100_000)
    order = large.order()
    _, forward, _ = order.methods
    assert (order.parameters, forward.measured_rows) == (3430, 1)
    assert forward.measured_parameters <= 1000  # columns of 100 elements
    text = " ".join(str(order).split())
    assert f"from {forward.measured_parameters:,} of 3,430 parameters and 1 of 40 rows." in text


def test_jacobians_above_the_limit_are_not_built():
    order = chain_of(*LAYERS, max_elements=10).order()
    backward, forward, differences = order.methods
    assert (forward.seconds, forward.measured_parameters, forward.difference) == (None, 0, None)
    assert backward.seconds
    assert differences.difference <= 1e-5
    assert "not measured, as a Jacobian is larger than max_elements" in " ".join(str(order).split())


def test_the_chain_is_not_touched():
    chain = chain_of(*LAYERS)
    params, grads = chain.network.params.copy(), chain.network.grads.copy()
    chain.order()
    np.testing.assert_array_equal(chain.network.params, params)
    np.testing.assert_array_equal(chain.network.grads, grads)


def test_bad_arguments():
    with pytest.raises(ValueError, match="no parameter 'W3'"):
        chain_of(*LAYERS).order("W3")
    with pytest.raises(ValueError, match="link X has none"):
        chain_of(*LAYERS).order("x")
    with pytest.raises(ValueError, match="this network has none"):
        chain_of(cr.Tanh()).order()


def test_text_says_why_in_plain_signs(monkeypatch):
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        text = str(chain_of(*LAYERS).order())
        assert max(map(len, text.splitlines())) <= 80
        assert text.isascii()
        assert "finite differences take 27 forward passes" in " ".join(text.split())


@pytest.mark.parametrize(
    ("layers", "name", "costs", "words"),
    [
        (LAYERS, None, "more", "Why the chain rule, and why from the loss: finite"),
        ((cr.Linear(3, 1), cr.Tanh()), "b1", "same", "1 column, and here the same work."),
        ((cr.Linear(3, 1),), None, "same", "4 columns, and here the same work."),
        ((cr.Linear(3, 4), cr.Linear(4, 1)), "b2", "same", "1 column, and here the same work."),
    ],
)
def test_why_from_the_loss_is_said_where_it_saves(layers, name, costs, words):
    order = chain_of(*layers, rows=1).order(name)
    backward, forward, _ = counts(order)
    assert {"more": forward > backward, "same": forward == backward}[costs]
    text = " ".join(str(order).split())
    assert words in text
    assert ("why from the loss" in text) == (costs == "more")
    assert ("times the work" in text) == (costs == "more")
