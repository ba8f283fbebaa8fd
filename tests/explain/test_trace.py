"""Paths from one weight to the loss: compared with all of them, written out."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.explain import notation
from chainrule.layers.container import Container

pytestmark = pytest.mark.once

ARGUMENTS = {
    "BatchNorm": (4,),
    "Columns": ([3, 1, 0, 2],),
    "GroupNorm": (2, 4),
    "LayerNorm": (4,),
    "Linear": (4, 4),
    "RMSNorm": (4,),
    "Rescale": (-2.0, 3.0),
}
ARGUMENTS |= {"Standardize": (4, (0.5, -1.0, 2.0, 0.0), (0.25, 4.0, 1.0, 2.0))}
LAYERS = [
    getattr(cr, name)(*ARGUMENTS.get(name, ()))
    for name in cr.layers.__all__
    if not issubclass(getattr(cr, name), Container | cr.Embedding)
    and not getattr(cr, name).axes  # those of images: see layers/test_image_layers.py
]


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def chain_of(*layers, rows=2, dtype="float64", inputs=3, **options):
    net = cr.Sequential(*layers, seed=0, dtype=dtype)
    x = batch((rows, inputs))
    return cr.explain(net, cr.MSELoss(), x, batch(net.predict(x).shape, 1), **options)


def indices_of(chain, name):
    return np.ndindex(chain.gradients[name].shape)


def enumerate_paths(chain, name, index):
    """Return the contribution of every path, by its row and its units."""
    first = chain.link_of(name)
    links = chain.links[first:]
    column = np.ravel_multi_index(index, chain.gradients[name].shape)
    entry = links[0].parameter_jacobian(name)[:, :, column]
    paths = {}
    for row, *units in product(range(chain.rows), *(range(k.value.shape[1]) for k in links)):
        factors = [entry[row, units[0]]]
        steps = zip(links[1:], units[1:], units[:-1], strict=True)
        factors += [link.jacobian[row, to, start] for link, to, start in steps]
        paths[row, *units] = prod([*factors, links[-1].gradient[row, units[-1]]])
    return paths


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_paths_of_every_layer_add_up_to_the_gradient(layer, merge):
    width = 2 if isinstance(layer, cr.GLU) else 4
    chain = chain_of(cr.Linear(3, 4), layer, cr.Linear(width, 2), rows=3, merge=merge)
    for name, engine in chain.gradients.items():
        scale = np.abs(engine).max()
        for index in indices_of(chain, name):
            trace = chain.trace(name, index, top=3)
            assert trace.engine == engine[index]
            assert abs(trace.total - trace.engine) <= 1e-12 * scale
            assert trace.shown + trace.others == pytest.approx(trace.total, rel=0, abs=1e-15)


@given(data=st.data(), rows=st.integers(1, 3), top=st.integers(1, 40), merge=st.booleans())
@settings(max_examples=40)
def test_the_largest_paths_are_those_of_an_enumeration(data, rows, top, merge):
    activations = [cr.ReLU(), cr.GELU(), cr.Softmax(), cr.Identity()]
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    layers = []
    for inputs, outputs in zip([3, *sizes], sizes, strict=False):
        layers += [cr.Linear(inputs, outputs), data.draw(st.sampled_from(activations))]
    chain = chain_of(*layers, rows=rows, merge=merge)
    name = data.draw(st.sampled_from(list(chain.symbols)))
    index = data.draw(st.sampled_from(list(indices_of(chain, name))))

    trace = chain.trace(name, index, top=top)
    paths = enumerate_paths(chain, name, index)
    nonzero = [value for value in paths.values() if value != 0]
    assert (trace.paths, trace.nonzero) == (len(paths), len(nonzero))
    expected = np.sort(np.abs(nonzero))[::-1][:top]
    found = [abs(route.contribution) for route in trace.routes]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert found == sorted(found, reverse=True)
    assert len({(route.row, route.units) for route in trace.routes}) == len(trace.routes)
    for route in trace.routes:
        assert route.contribution == prod(route.factors)
        assert route.contribution == pytest.approx(paths[route.row, *route.units], rel=1e-13)
    scale = sum(map(abs, nonzero))
    assert trace.total == pytest.approx(sum(nonzero), rel=0, abs=1e-13 * scale)
    if top >= len(nonzero):
        assert trace.others == 0


def test_ties_are_counted_once_each():
    chain = chain_of(cr.Linear(3, 4), cr.Linear(4, 4), cr.Linear(4, 2), rows=1)
    for parameter in chain.network.parameters().values():
        parameter[...] = 1
    again = cr.explain(chain.network, cr.MSELoss(), chain.x, batch((1, 2)))
    trace = again.trace("W1", (0, 0), top=7)
    assert len({route.units for route in trace.routes}) == 7
    assert trace.nonzero == 8


def test_rows_with_more_axes():
    net = cr.Sequential(cr.Linear(3, 2), cr.ReLU(), cr.Flatten(), cr.Linear(4, 1), seed=0)
    chain = cr.explain(net.copy("float64"), cr.MSELoss(), batch((5, 2, 3)), batch((5, 1)))
    for index in indices_of(chain, "0.weight"):
        paths = enumerate_paths(chain, "0.weight", index)
        trace = chain.trace("W1", index, top=len(paths))
        assert trace.total == pytest.approx(trace.engine, rel=1e-12)
        assert trace.nonzero == len(trace.routes) == sum(value != 0 for value in paths.values())


def test_an_entry_of_the_input_is_felt_by_its_own_row_only():
    chain = chain_of(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), rows=5)
    trace = chain.trace("x", (3, 1))
    assert (trace.symbol, trace.paths) == ("X", 4 * 2)
    assert {route.row for route in trace.routes} == {3}
    assert trace.total == pytest.approx(chain.gradients["x"][3, 1], rel=1e-12)


def test_paths_beyond_64_bits_are_counted():
    chain = chain_of(cr.Linear(3, 4), *[cr.Linear(4, 4)] * 40, rows=1)
    trace = chain.trace("W1", (0, 0))
    assert trace.paths == 4**41
    assert trace.nonzero == 4**40
    assert max(map(len, str(trace).splitlines())) <= 80


def test_a_dead_unit_has_no_paths():
    net = cr.Sequential(cr.Linear(3, 2), cr.ReLU(), cr.Linear(2, 1), seed=0)
    net.parameters()["0.bias"][...] = -100
    trace = cr.explain(net, cr.MSELoss(), batch((2, 3)), batch((2, 1))).trace("b1", 0)
    assert (trace.routes, trace.nonzero, trace.paths, trace.total) == ((), 0, 4, 0)
    assert "of which 0 are not 0" in str(trace)


# Bad input


@pytest.mark.parametrize("index", [(0, 4), (3, 0), (-1, 0), (0,), 0, (0, 0, 0), (0.0, 0), "ab"])
def test_indices_that_do_not_exist(index):
    chain = chain_of(cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2))
    with pytest.raises(IndexError, match=r"2 integers, from \(0, 0\) to \(2, 3\), for W1"):
        chain.trace("W1", index)


def test_other_bad_arguments():
    chain = chain_of(cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2))
    assert chain.trace("b1", 1).index == chain.trace("b1", np.array([1])).index == (1,)
    with pytest.raises(ValueError, match="no parameter 'W3'"):
        chain.trace("W3", (0, 0))
    with pytest.raises(ValueError, match="top must be at least 1"):
        chain.trace("W1", (0, 0), top=0)


def test_jacobians_above_the_limit_are_named():
    layers = cr.Linear(3, 2), cr.Tanh(), cr.Linear(2, 6), cr.Linear(6, 5)
    largest = 2 * 5 * 6  # elements of dO/dH2, for two rows
    assert chain_of(*layers, max_elements=largest).trace("W1", (0, 0)).routes
    with pytest.raises(ValueError, match="link O has more than max_elements = 59 elements"):
        chain_of(*layers, max_elements=largest - 1).trace("W1", (0, 0))
    with pytest.raises(ValueError, match="link H1 has more than max_elements = 3"):
        chain_of(*layers, max_elements=3).trace("W1", (0, 0))


# Text


def test_text_has_at_most_80_columns_and_a_plain_form(monkeypatch):
    shallow = chain_of(cr.Linear(3, 4, name="H"), cr.Tanh(), cr.Linear(4, 2), rows=1)
    deep = chain_of(cr.Linear(3, 4), *[cr.Linear(4, 4), cr.SiLU()] * 9, rows=12)
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        for trace in (
            shallow.trace("W1", (2, 0)),
            deep.trace("W1", (2, 0)),
            deep.trace("x", (1, 2)),
        ):
            assert max(map(len, str(trace).splitlines())) <= 80
            assert str(trace).isascii() == (signs is notation.PLAIN)
    text = str(shallow.trace("W1", (2, 0)))
    route = shallow.trace("W1", (2, 0)).routes[0]
    numbers = " x ".join(f"{factor:.4g}" for factor in route.factors)
    way = f"row 0: W1[2, 0] -> H[0] -> O[{route.units[1]}] -> L"
    assert f"{way}  {numbers} = {route.contribution:.4g}" in text


def about(trace):
    return " ".join(str(trace).split("\n\n")[0].split())


@pytest.mark.parametrize(
    ("units", "top", "ending"),
    [
        (0, 5, "the sum over 3 paths, of which 0 are not 0."),
        (1, 5, "the sum over 3 paths, of which 1 is not 0:"),
        (2, 5, "the sum over 3 paths, of which 2 are not 0:"),
        (3, 2, "the sum over 3 paths, of which 3 are not 0. The 2 largest:"),
        (3, 1, "the sum over 3 paths, of which 3 are not 0. The largest:"),
    ],
)
def test_numbers_of_paths_in_words(units, top, ending):
    layers = cr.Linear(1, 1, bias=False), cr.Linear(1, 3, bias=False), cr.Linear(3, 1, bias=False)
    net = cr.Sequential(*layers, seed=0, dtype="float64")
    net.params[:] = 1
    net.parameters()["1.weight"][0, units:] = 0
    chain = cr.explain(net, cr.MSELoss(), [[1.0]], [[-1.0]])
    assert about(chain.trace("W1", (0, 0), top)).endswith(ending)


def test_one_path_in_words():
    net = cr.Sequential(cr.Linear(1, 1, bias=False), seed=0)
    text = about(cr.explain(net, cr.MSELoss(), [[1.0]], [[5.0]]).trace("W1", (0, 0)))
    assert text.endswith("the sum over 1 path, of which 1 is not 0:")
