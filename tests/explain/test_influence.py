"""Influence: its figures by hand, and the illnesses that it finds, in networks that have them."""

from itertools import pairwise
from math import prod

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import notation
from chainrule.layers.activation import Elementwise

pytestmark = pytest.mark.once


def batch(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def deep(activation, depth, width=16, inputs=16, **options):
    layers = []
    for size in [inputs, *[width] * (depth - 1)]:
        layers += [cr.Linear(size, width), activation]
    return cr.Sequential(*layers, cr.Linear(width, 1), seed=0, **options)


def influence_of(net, rows=32, **options):
    X = batch(rows, 16)
    return cr.explain(net, cr.MSELoss(), X, X[:, 0], **options).influence()


def kinds(influence):
    return [finding.kind for finding in influence.findings]


# Figures


def test_figures_by_hand():
    net = cr.Sequential(
        cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 5), cr.ReLU(), cr.Linear(5, 2),
        seed=0, dtype="float64",
    )  # fmt: skip
    x, y = batch(6, 3), batch(6, 2, 1)
    w1, b1, w2, b2, w3, b3 = net.parameters().values()
    h1 = np.tanh(x @ w1 + b1)
    z2 = h1 @ w2 + b2
    h2 = np.maximum(z2, 0)
    out = h2 @ w3 + b3
    d_out = 2 * (out - y) / out.size
    d_h2 = d_out @ w3.T
    d_z2 = d_h2 * (z2 > 0)
    d_h1 = d_z2 @ w2.T
    d_z1 = d_h1 * (1 - h1**2)
    d_x = d_z1 @ w1.T

    influence = cr.explain(net, cr.MSELoss(), x, y).influence()
    values, gradients = (x, h1, h2, out), (d_x, d_h1, d_h2, d_out)
    forward = [np.sqrt(np.mean(value**2)) for value in values]
    backward = [np.sqrt(np.mean(np.sum(gradient**2, axis=1))) for gradient in gradients]
    links = influence.links
    assert [link.symbol for link in links] == ["X", "H1", "H2", "O"]
    assert [link.forward for link in links] == pytest.approx(forward, rel=1e-12)
    assert [link.backward for link in links] == pytest.approx(backward, rel=1e-12)
    for before, link in pairwise(links):
        assert link.forward_factor == pytest.approx(link.forward / before.forward)
        assert link.backward_factor == pytest.approx(before.backward / link.backward)
        assert prod(layer.factor for layer in link.layers) == pytest.approx(link.backward_factor)
    assert links[0].forward_factor is links[0].backward_factor is links[0].activation_factor is None

    norm = np.linalg.norm
    assert links[2].activation_factor == pytest.approx(norm(d_z2) / norm(d_h2))
    assert links[2].weight_factor == pytest.approx(norm(d_h1) / norm(d_z2))
    assert links[2].slope == pytest.approx(np.mean(z2 > 0))
    assert links[2].dead == np.mean((z2 <= 0).all(axis=0))
    assert links[2].saturated is None
    assert links[1].slope == pytest.approx(np.mean(1 - h1**2))
    assert links[1].saturated == np.mean(1 - h1**2 < 0.05)
    assert links[1].dead is None
    assert links[3].activation_factor is links[3].slope is None

    weight = influence.parameters[0]
    assert (weight.name, weight.symbol, weight.is_matrix) == ("0.weight", "W1", True)
    assert weight.gradient == pytest.approx(norm(x.T @ d_z1))
    assert weight.weight == pytest.approx(norm(w1))
    assert weight.update == pytest.approx(1e-3 * np.sqrt(w1.size), rel=1e-4)  # Adam's first step
    assert weight.update_ratio == weight.update / weight.weight


def test_where_ways_part_a_factor_is_that_of_its_own_way():
    net = cr.Sequential(
        cr.Linear(3, 4),
        cr.Residual(cr.Linear(4, 4), cr.Tanh()),
        cr.Parallel(cr.Linear(4, 2), cr.Linear(4, 2)),
        seed=0,
        dtype="float64",
    )
    x, y = batch(6, 3), batch(6, 2, 1)
    w1, b1, w2, b2, w3, b3, w4, b4 = net.parameters().values()
    h1 = x @ w1 + b1
    inner = np.tanh(h1 @ w2 + b2)
    h3 = h1 + inner
    out = h3 @ w3 + b3 + h3 @ w4 + b4
    d_out = 2 * (out - y) / out.size
    terms = d_out @ w3.T, d_out @ w4.T  # of what comes back to h3
    d_h3 = terms[0] + terms[1]
    term = (d_h3 * (1 - inner**2)) @ w2.T  # of what comes back to h1, beside d_h3 itself
    d_h1 = d_h3 + term

    norm = np.linalg.norm
    links = cr.explain(net, cr.MSELoss(), x, y).influence().links
    assert [link.inputs for link in links[1:]] == [
        ("X",), ("H1",), ("H1", "H2"), ("H3",), ("H3",), ("H4", "H5"),
    ]  # fmt: skip
    gradients = [d_h1, d_h3, d_h3, d_out, d_out, d_out]
    passed_back = [d_h1 @ w1.T, term, None, *terms, None]
    for link, gradient, passed in zip(links[1:], gradients, passed_back, strict=True):
        assert link.backward == pytest.approx(norm(gradient) / np.sqrt(6), rel=1e-12)
        if passed is None:  # several branches, and no factor
            assert link.backward_factor is None
            continue
        assert link.backward_factor == pytest.approx(norm(passed) / norm(gradient), rel=1e-12)
        factors = [layer.factor for layer in link.layers]
        assert prod(factors) == pytest.approx(link.backward_factor, rel=1e-12)


@pytest.mark.parametrize(
    "optimizer", [cr.SGD(lr=0.1, momentum=0.9), cr.Adam(), cr.AdamW()], ids=repr
)
def test_the_update_is_the_next_step_and_leaves_no_trace(optimizer):
    net, loss = deep(cr.ReLU(), 2, dtype="float64"), cr.MSELoss()
    X, y = batch(32, 16), batch(32, 1)
    cr.fit(net, X, y, loss=loss, optimizer=optimizer, epochs=3, progress=False)
    state = optimizer.state(net)
    before = net.params.copy(), net.grads.copy(), state.steps.copy(), state.vectors.copy()
    numbers = state.lr, state.numbers
    influence = cr.explain(net, loss, X, y).influence(optimizer)
    after = net.params, net.grads, state.steps, state.vectors
    assert all(map(np.array_equal, before, after))
    assert (state.lr, state.numbers) == numbers
    assert list(optimizer._states) == [net]

    weights = {name: view.copy() for name, view in net.parameters().items()}
    _, d_out = loss(net.forward(X), y)
    net.backward(d_out)
    optimizer.step(net)
    moved = [np.linalg.norm(view - weights[name]) for name, view in net.parameters().items()]
    assert [parameter.update for parameter in influence.parameters] == pytest.approx(moved)


def test_an_optimizer_that_never_saw_the_network_begins_anew_and_forgets_it():
    net, optimizer = deep(cr.ReLU(), 1), cr.SGD(lr=0.5)
    chain = cr.explain(net, cr.MSELoss(), batch(4, 16), batch(4, 1))
    del net  # the chain does not keep it
    assert chain.original is None
    for parameter in chain.influence(optimizer).parameters:
        assert parameter.update == pytest.approx(0.5 * parameter.gradient, rel=1e-3)
    assert not optimizer._states


def test_layer_by_layer():
    net = deep(cr.Tanh(), 3)
    whole, single = influence_of(net), influence_of(net, merge=False)
    assert [link.backward for link in whole.links] == [
        link.backward for link in single.links if link.symbol in ("X", "H2", "H4", "H6", "O")
    ]
    assert whole.parameters == single.parameters


@pytest.mark.parametrize(
    ("layer", "max_slope"),
    [
        (layer, layer.max_slope)
        for name in cr.layers.__all__
        if issubclass(cls := getattr(cr, name), Elementwise)
        if (layer := cls()).max_slope is not None
    ],
    ids=repr,
)
def test_the_steepest_slope_is_the_largest_there_is(layer, max_slope):
    net = cr.Sequential(layer, dtype="float64")
    x = np.linspace(-30, 30, 6001)[:, np.newaxis]
    net.forward(x)
    slopes = np.abs(net.backward(np.ones_like(x)))
    assert slopes.max() == pytest.approx(max_slope)
    assert max(slopes[0], slopes[-1]) < 1e-12  # flat at both ends


# Illnesses


def test_vanishing_gradient_of_a_deep_sigmoid_network():
    influence = influence_of(deep(cr.Sigmoid(), 10))
    assert kinds(influence) == ["vanishing gradient"]
    finding = influence.findings[0]
    assert finding.where == ("H10",)
    link = influence.links[10]
    assert finding.value == link.backward_factor < 0.3
    assert link.activation_factor == pytest.approx(0.25, abs=0.02)
    assert 0.3 < link.weight_factor < 1
    assert "Sigmoid() by 0.2" in finding.text
    assert "Linear(16, 16) by 0." in finding.text


@pytest.mark.parametrize("position", [2, 4, 6, 8])
def test_a_gradient_that_vanishes_in_one_layer_begins_there(position):
    net = deep(cr.ReLU(), 4, dtype="float64")
    net.parameters()[f"{position}.weight"][...] *= 1e-6
    influence = influence_of(net)
    assert kinds(influence)[0] == "vanishing gradient"
    link = "O" if position == 8 else f"H{position // 2 + 1}"
    assert influence.findings[0].where == (link,)
    assert influence.findings[0].value < 1e-5


def test_exploding_gradient_of_large_weights():
    net = deep(cr.ReLU(), 7)
    for name, view in net.parameters().items():
        view[...] *= 10 if name.endswith("weight") else 1
    influence = influence_of(net)
    assert kinds(influence) == ["exploding gradient"]
    finding = influence.findings[0]
    assert finding.where == ("O",)
    assert finding.value > 3
    assert influence.links[-1].activation_factor is None
    assert "Linear(16, 1) by" in finding.text


def test_dead_units():
    net = deep(cr.ReLU(), 2)
    net.parameters()["2.bias"][...] = -100
    influence = influence_of(net)
    assert [link.dead for link in influence.links[2:]] == [1.0, None]
    dead = next(finding for finding in influence.findings if finding.kind == "dead units")
    assert (dead.where, dead.value) == (("H2",), 1.0)
    assert "100% in H2 have the derivative 0 in all 32 rows" in dead.text
    # Nothing comes through, so that is where the gradient vanishes.
    assert influence.findings[0].kind == "vanishing gradient"
    assert influence.findings[0].where == ("H2",)
    assert influence.links[1].backward == 0
    # In a few rows half of the units are off in any network.
    assert "dead units" not in kinds(influence_of(net, rows=4))


@pytest.mark.parametrize("activation", [cr.Tanh(), cr.Sigmoid()], ids=repr)
def test_saturated_units(activation):
    net = deep(activation, 2)
    for view in net.parameters().values():
        view[...] *= 100
    influence = influence_of(net)
    assert "saturated units" in kinds(influence)
    finding = next(f for f in influence.findings if f.kind == "saturated units")
    assert finding.where == ("H2", "H1")
    assert finding.value == max(link.saturated for link in influence.links[1:3]) > 0.8


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [(cr.SGD(lr=1e-9), "updates too small"), (cr.Adam(lr=1.0), "updates too large")],
    ids=repr,
)
def test_updates_of_another_size_than_usual(optimizer, kind):
    net = deep(cr.ReLU(), 2)
    X = batch(32, 16)
    influence = cr.explain(net, cr.MSELoss(), X, X[:, 0]).influence(optimizer)
    assert kinds(influence) == [kind]
    assert influence.findings[0].where == ("4.weight", "2.weight", "0.weight")
    assert repr(optimizer) in influence.diagnosis


# Health


@pytest.mark.parametrize("width", [8, 16, 64, 256])
@pytest.mark.parametrize("depth", [1, 2, 4, 6])
def test_no_false_alarm_for_new_relu_networks(depth, width):
    influence = influence_of(deep(cr.ReLU(), depth, width))
    assert influence.findings == ()
    assert influence.diagnosis.startswith("Nothing unusual")


def test_many_units_that_are_inactive_in_a_few_rows_are_explained():
    """The table and the page mark them as dead, so that "nothing unusual" alone contradicts."""
    net = cr.Sequential(cr.Linear(16, 20), cr.ReLU(), cr.Linear(20, 1), seed=0)
    net.parameters()["0.bias"][:16] = -100
    net.parameters()["0.bias"][16:] = 100
    for rows, text in {
        1: "the only row, but in so few this may be chance: 8 or more show whether they are dead.",
        4: "all 4 rows, but in so few this may be chance: 8 or more show whether they are dead.",
        9: "all 9 rows, but up to 85% may be chance, as in narrow layers.",
    }.items():
        influence = influence_of(net, rows)
        assert influence.findings == ()
        assert influence.links[1].dead == pytest.approx(0.8)
        expected = f"80% of the units in H have the derivative 0 in {text}"
        assert influence.diagnosis == f"Nothing unusual: {expected}"


@pytest.mark.parametrize("layer", [cr.Tanh(), cr.GELU(), cr.SiLU(), cr.ELU(), cr.Sigmoid()])
def test_no_false_alarm_for_other_activations(layer):
    assert influence_of(deep(layer, 3)).findings == ()


def test_no_false_alarm_for_a_narrow_output_of_a_wide_layer():
    net = cr.Sequential(cr.Linear(16, 4096), cr.ReLU(), cr.Linear(4096, 1), seed=0)
    assert influence_of(net).findings == ()


def test_no_false_alarm_for_the_digits_network_new_and_trained():
    X, y = cr.datasets.load_digits()
    layers = cr.Linear(64, 64), cr.ReLU(), cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10)
    net, loss, optimizer = cr.Sequential(*layers, seed=0), cr.CrossEntropyLoss(), cr.Adam()
    assert cr.explain(net, loss, X[:64], y[:64]).influence().findings == ()
    cr.fit(net, X, y, loss=loss, optimizer=optimizer, epochs=3, batch_size=64, progress=False)
    assert cr.explain(net, loss, X[:64], y[:64]).influence(optimizer).findings == ()


def test_a_gradient_of_nothing_is_no_illness():
    net = deep(cr.ReLU(), 3)
    net.params[:] = 0
    X = batch(16, 16)
    influence = cr.explain(net, cr.MSELoss(), X, np.zeros((16, 1))).influence()
    assert all(layer.factor is None for link in influence.links for layer in link.layers)
    assert kinds(influence) == ["dead units"]


def test_a_network_without_parameters_and_weights_of_zero():
    X = batch(8, 16)
    plain = cr.explain(cr.Sequential(cr.Tanh()), cr.MSELoss(), X, X).influence()
    assert plain.parameters == ()
    assert "Nothing unusual." in str(plain)
    net = cr.Sequential(cr.Linear(16, 16, weight_init=cr.initializers.Zeros()), seed=0)
    influence = cr.explain(net, cr.MSELoss(), X, X).influence()
    assert influence.parameters[0].update_ratio is None
    assert influence.findings == ()


# Text


def test_text_has_at_most_80_columns_and_a_plain_form(monkeypatch):
    ill = deep(cr.Sigmoid(), 12)
    for name, view in ill.parameters().items():
        view[...] *= 50 if name.startswith("0.") else 1
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        text = str(influence_of(ill))
        assert max(map(len, text.splitlines())) <= 80
        assert text.isascii() == (signs is notation.PLAIN)
        assert "Vanishing gradient" in text
        assert "Saturated units" in text


def test_bad_optimizer_is_named():
    chain = cr.explain(deep(cr.ReLU(), 1), cr.MSELoss(), batch(2, 16), batch(2, 1))
    with pytest.raises(TypeError, match="optimizer must be an optimizer such as"):
        chain.influence("adam")
