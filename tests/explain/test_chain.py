"""The chain laid open: its product is the engine's gradient, for every layer and loss."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.explain import notation
from chainrule.layers.container import Container

pytestmark = pytest.mark.once

WITH_ARGUMENTS = {
    "BatchNorm": [(4,)],
    "LayerNorm": [(4,)],
    "Columns": [([3, 0, 0, 1],)],
    "RMSNorm": [(4,)],
    "GroupNorm": [(2, 4)],
    "Linear": [(4, 4), (4, 4, False)],
    "GELU": [("none",), ("tanh",)],
    "LeakyReLU": [(0.5,)],
    "ELU": [(0.3,)],
    "Rescale": [(-2.0, 3.0)],
    "Standardize": [(4, (0.5, -1.0, 2.0, 0.0), (0.25, 4.0, 1.0, 2.0))],
}
LAYERS = [
    getattr(cr, name)(*arguments)
    for name in cr.layers.__all__
    if not issubclass(getattr(cr, name), Container | cr.Embedding)
    and not getattr(cr, name).axes  # those of images: see layers/test_image_layers.py
    for arguments in WITH_ARGUMENTS.get(name, [()])
]
LOSSES = [getattr(cr, name)() for name in cr.losses.__all__] + [
    cr.CrossEntropyLoss(label_smoothing=0.3)
]


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def target_for(loss, output):
    rng = np.random.default_rng(1)
    if loss.takes_labels:
        return rng.integers(0, output.shape[1], len(output))
    return rng.uniform(size=(len(output), *loss.target_shape(output.shape[1:])))


def assert_right(chain):
    """Every path: explicit Jacobians, actions and the engine agree, however they are merged."""
    # A derivative that is a difference, such as 1 - tanh(x)^2, has an absolute rounding error.
    rounding = np.spacing(max(np.abs(link.gradient).max() for link in chain.links))
    for name, engine in chain.gradients.items():
        tolerance = 1e-12 * np.abs(engine).max(initial=0) + rounding
        path = chain.path(name)
        assert np.abs(path.product() - engine).max(initial=0) <= tolerance
        assert np.abs(path.gradient - engine).max(initial=0) <= tolerance
        assert chain.compress(name).difference <= tolerance


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_every_layer(layer, merge):
    width = 2 if isinstance(layer, cr.GLU) else 4
    net = cr.Sequential(cr.Linear(3, 4), layer, cr.Linear(width, 2), seed=0, dtype="float64")
    assert_right(cr.explain(net, cr.MSELoss(), batch((3, 3)), batch((3, 2), 1), merge=merge))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_every_loss(loss):
    outputs = 4 if isinstance(loss, cr.GaussianNLLLoss) else 3
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, outputs), seed=0, dtype="float64")
    x = batch((5, 3))
    assert_right(cr.explain(net, loss, x, target_for(loss, net.predict(x))))


@given(data=st.data(), rows=st.integers(1, 4), depth=st.integers(1, 6))
@settings(max_examples=25)
def test_networks_of_any_depth_and_any_order_of_merging(data, rows, depth):
    same_size = [layer for layer in LAYERS if not isinstance(layer, cr.Flatten | cr.GLU)]
    layers = data.draw(st.lists(st.sampled_from(same_size), min_size=depth, max_size=depth))
    net = cr.Sequential(*layers, cr.Linear(4, 4), seed=depth, dtype="float64")
    x = batch((rows, 4), depth)
    chain = cr.explain(net, cr.MSELoss(), x, batch((rows, 4), 1), merge=data.draw(st.booleans()))
    assert_right(chain)
    path = whole = chain.path(next(iter(chain.symbols)))
    while len(path.factors) > 1:
        path = path.merge(data.draw(st.integers(0, len(path.factors) - 2)))
        np.testing.assert_array_equal(path.running[-1], whole.gradient)
    size = whole.gradient.size
    merged = path.factors[0].value.reshape(rows, size).sum(axis=0).reshape(whole.gradient.shape)
    scale = np.abs(whole.gradient).max(initial=1e-300)
    assert np.abs(merged - whole.gradient).max(initial=0) <= 1e-11 * scale


def test_rows_with_more_axes():
    net = cr.Sequential(cr.Linear(3, 2), cr.ReLU(), cr.Flatten(), cr.Linear(4, 1), seed=0)
    chain = cr.explain(net.copy("float64"), cr.MSELoss(), batch((5, 2, 3)), batch((5, 1)))
    assert chain.links[0].value.shape == (5, 6)
    assert_right(chain)


def test_outputs_with_more_axes():
    net = cr.Sequential(cr.Linear(3, 2), cr.Tanh(), seed=0, dtype="float64")
    assert_right(cr.explain(net, cr.MSELoss(), batch((5, 4, 3)), batch((5, 4, 2))))


# Names


def symbols(*layers, **options):
    net = cr.Sequential(*layers, seed=0)
    x = batch((2, 3))
    chain = cr.explain(net, cr.MSELoss(), x, net.predict(x), **options)
    return [link.symbol for link in chain.links], list(chain.symbols.values())


def test_links_are_called_as_in_textbooks():
    assert symbols(cr.Linear(3, 2)) == (["X", "O"], ["W1", "b1"])
    assert symbols(cr.Rescale(2.0), cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2), cr.Softmax()) == (
        ["X", "H", "O"],
        ["W1", "b1", "W2", "b2"],
    )
    deep = [cr.Linear(3, 3), cr.Tanh()] * 3
    assert symbols(*deep)[0] == ["X", "H1", "H2", "O"]
    assert symbols(*deep, merge=False)[0] == ["X", "H1", "H2", "H3", "H4", "H5", "O"]
    assert symbols(cr.ReLU(), cr.Flatten()) == (["X", "O"], [])


def test_names_of_layers_become_symbols():
    named = [cr.Linear(3, 4, name="hidden"), cr.Tanh(), cr.Linear(4, 2, name="logits")]
    assert symbols(*named)[0] == ["X", "hidden", "logits"]
    # A name that is also an automatic one stays with the layer that has it.
    assert symbols(cr.Linear(3, 4, name="O"), cr.Linear(4, 2))[0] == ["X", "O", "O'"]
    # A name opens a link of its own.
    assert symbols(cr.Linear(3, 4), cr.Tanh(name="A"), cr.Linear(4, 2))[0] == ["X", "H1", "A", "O"]


def test_names_are_unique_texts_and_messages_use_them():
    with pytest.raises(ValueError, match=r"Layers 0 and 2 are both named 'H'\."):
        cr.Sequential(cr.Linear(2, 2, name="H"), cr.ReLU(), cr.Linear(2, 2, name="H"))
    with pytest.raises(TypeError, match=r"name of layer 0 must be a text, not 3"):
        cr.Sequential(cr.Linear(2, 2, name=3))
    net = cr.Sequential(cr.Linear(2, 2, name="H"), seed=0)
    assert net.layer_name((0,)) == "Linear 'H' (layer 0)"
    assert "0 Linear(2, 2) 'H'" in str(net.summary())


@pytest.mark.parametrize("name", ["0.weight", "H.weight", "W1"])
def test_a_parameter_by_name_or_symbol(name):
    net = cr.Sequential(cr.Linear(3, 4, name="H"), cr.ReLU(), cr.Linear(4, 2), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 2)))
    assert chain.path(name).name == "0.weight"
    with pytest.raises(ValueError, match=r"no parameter 'W3'; there are: 0.weight \(W1\), 0.bias"):
        chain.path("W3")
    with pytest.raises(ValueError, match=r"no parameter '1.weight'"):
        chain.compress("1.weight")


# Limits


def test_jacobians_above_the_limit_are_not_built():
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0, dtype="float64")
    x, y = batch((2, 3)), batch((2, 2))
    most = 2 * 4 * 12  # elements of dH/dW1
    whole = cr.explain(net, cr.MSELoss(), x, y, max_elements=most).path("W1")
    assert whole.product() is not None
    chain = cr.explain(net, cr.MSELoss(), x, y, max_elements=most - 1)
    path = chain.path("W1")
    assert path.factors[-1].value is None
    assert path.factors[-1].norm is None
    assert path.merge(1).factors[1].value is None
    assert path.product() is None
    np.testing.assert_array_equal(path.gradient, whole.gradient)
    assert "too large to build" in str(path)
    compression = chain.compress("W1")
    assert not compression.explicit
    assert compression.difference <= 1e-15
    assert "The factors' actions" in str(compression)


def test_a_large_network_stays_within_memory():
    net = cr.Sequential(cr.Linear(784, 512), cr.ReLU(), cr.Linear(512, 512), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((64, 784)), batch((64, 512)))
    assert [factor.value is None for factor in chain.path("W1").factors] == [False, True, True]
    assert chain.compress("W1").ulp < 1000


def test_no_two_factors_to_merge():
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    path = cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 2))).path("b1")
    with pytest.raises(IndexError, match="position must be from 0 to 0, not 1"):
        path.merge(1)


# Bad input


def test_bad_arguments_are_named():
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    x, y = batch((2, 3)), batch((2, 2))
    with pytest.raises(TypeError, match="net must be a Sequential"):
        cr.explain(cr.Linear(3, 2), cr.MSELoss(), x, y)
    with pytest.raises(TypeError, match="loss must be a loss"):
        cr.explain(net, "mse", x, y)
    with pytest.raises(ValueError, match="max_elements"):
        cr.explain(net, cr.MSELoss(), x, y, max_elements=-1)
    with pytest.raises(ValueError, match="input features"):
        cr.explain(net, cr.MSELoss(), batch((2, 4)), y)
    with pytest.raises(ValueError, match="y must have the shape of the output"):
        cr.explain(net, cr.MSELoss(), x, batch((2, 5)))


def test_the_network_is_not_touched_and_not_kept():
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    params, grads = net.params.copy(), net.grads.copy()
    chain = cr.explain(net, cr.MSELoss(), batch((2, 3)), batch((2, 2)))
    np.testing.assert_array_equal(net.params, params)
    np.testing.assert_array_equal(net.grads, grads)
    before = chain.path("W1").gradient
    net.params[:] = 7
    np.testing.assert_array_equal(chain.path("W1").gradient, before)


# Text


def test_text_has_at_most_80_columns_and_a_plain_form(monkeypatch):
    net = cr.Sequential(cr.Linear(3, 4, name="H"), cr.Tanh(), cr.Linear(4, 2), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 2)))
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        for text in map(str, (chain, chain.path("W1"), chain.path("x"), chain.compress("W1"))):
            assert max(map(len, text.splitlines())) <= 80
            assert text.isascii() == (signs is notation.PLAIN)
    assert chain.path("W1").equation == "dL/dW1 = dL/dO . dO/dH . dH/dW1"


def test_the_terminals_encoding_chooses_the_signs(monkeypatch):
    class Terminal:
        encoding = "latin-1"

    monkeypatch.setattr("sys.stdout", Terminal())
    assert notation.of_terminal() is notation.PLAIN
    Terminal.encoding = "utf-8"
    assert notation.of_terminal() is notation.SYMBOLS


# What a second look found


@pytest.mark.once
def test_jacobians_take_little_memory_beside_themselves():
    net = cr.Sequential(cr.Linear(4, 3000), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((4, 4)), batch((4, 3000)))
    chain.path("x")
    tracemalloc.start()
    link = chain.links[1]
    vars(link).pop("jacobians")
    assert link.jacobian.shape == (4, 3000, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # a unit vector for each output of each row would be 288 MB


def test_a_product_of_two_factors_may_be_too_large():
    net = cr.Sequential(cr.Linear(50, 2), cr.Linear(2, 60), seed=0, dtype="float64")
    x, y = batch((1, 50)), batch((1, 60))
    path = cr.explain(net, cr.MSELoss(), x, y, max_elements=1000).path("x")
    assert all(factor.value is not None for factor in path.factors)
    assert path.merge(1).factors[1].value is None
    assert path.merge(0).merge(0).factors[0].value is not None


def test_equations_of_deep_networks_are_broken():
    net = cr.Sequential(*[cr.Linear(2, 2)] * 15, seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((1, 2)), batch((1, 2)))
    for text in map(str, (chain.path("W1"), chain.compress("W1"))):
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", ["L", "X", "W1"])
def test_a_name_that_means_something_else_gets_a_prime(name):
    links, parameters = symbols(cr.Linear(3, 4, name=name), cr.Tanh(), cr.Linear(4, 2))
    assert links == ["X", f"{name}'", "O"]
    assert parameters == ["W1", "b1", "W2", "b2"]


def test_a_parameter_as_it_is_printed_and_what_is_no_name():
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 2)))
    assert chain.path("W₁").name == "0.weight"
    assert chain.link_of("W1") == 1
    assert chain.link_of("x") == 0
    with pytest.raises(TypeError, match="found by its name"):
        chain.path(0)
    with pytest.raises(ValueError, match="no parameter 'W7'"):
        chain.link_of("W7")


def test_a_network_that_is_not_finite_is_not_explained():
    net = cr.Sequential(cr.Linear(3, 2), seed=0)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match=r"0\.weight holds NaN or infinity"):
        cr.explain(net, cr.MSELoss(), batch((1, 3)), batch((1, 2)))
    net.params[:] = 3e38
    with pytest.raises(ValueError, match="output is not finite in float32"):
        cr.explain(net, cr.MSELoss(), np.ones((1, 3)), batch((1, 2)))


def test_what_a_chain_is_made_of_has_short_reprs():
    net = cr.Sequential(cr.Linear(30, 40), cr.Tanh(), cr.Residual(cr.Linear(40, 40)), seed=0)
    chain = cr.explain(net, cr.MSELoss(), batch((2, 30)), batch((2, 40)))
    assert repr(chain.links[1]) == "<Link H1: Linear(30, 40), Tanh(), shape (2, 40)>"
    path = chain.path("W1")
    for part in (*chain.links, *path.factors, *(t for f in path.factors for t in f.terms)):
        assert "array" not in repr(part)
        assert len(repr(part)) < 600
