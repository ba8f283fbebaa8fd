"""Whatever explain prints as a name, its functions accept, as it is printed."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import gradient_methods, notation
from chainrule.explain.symbols import name_links

pytestmark = pytest.mark.once

TIED = cr.Shared(cr.Linear(3, 3), cr.Tanh())
NETWORKS = {
    "plain": [cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2)],
    "many": [*[cr.Linear(3, 3), cr.Tanh()] * 11, cr.Linear(3, 2)],
    "named": [cr.Linear(3, 4, name="H"), cr.Tanh(), cr.Linear(4, 2, name="last")],
    "named as others are": [
        cr.Linear(3, 4, name="W1"),
        cr.Tanh(name="x"),
        cr.Linear(4, 3, name="O"),
        cr.ReLU(name="0.weight"),
        cr.Linear(3, 2, name="L"),
    ],
    "digits and subscripts": [
        cr.Linear(3, 4, name="block12"),
        cr.Linear(4, 4, name="A₁"),
        cr.Linear(4, 2, name="7"),
    ],
    "activation with a name": [cr.Linear(3, 4), cr.Tanh(name="squashed"), cr.Linear(4, 2)],
    "residual": [cr.Linear(3, 3), cr.Residual(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 3))],
    "shared": [TIED, cr.Linear(3, 3), TIED, cr.Linear(3, 2)],
    "heads": [cr.Linear(3, 3), cr.Branch(cr.Linear(3, 2), cr.Identity(), cr.Residual(cr.Tanh()))],
    "no parameters": [cr.Tanh(), cr.Identity()],
}
each_network = pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
each_notation = pytest.mark.parametrize("signs", [notation.SYMBOLS, notation.PLAIN], ids=repr)


def case(layers, dtype="float64"):
    net = cr.Sequential(*layers, seed=0, dtype=dtype)
    x = np.random.default_rng(0).normal(size=(4, 3))
    outputs = net.predict(x)
    if isinstance(outputs, tuple):
        return (
            net,
            cr.MultiLoss(*[cr.MSELoss()] * len(outputs)),
            x,
            tuple(map(np.ones_like, outputs)),
        )
    return net, cr.MSELoss(), x, np.ones_like(outputs)


def links_printed(chain):
    """Return the symbols in the first column of the chain's text."""
    lines = str(chain).split("\n\n")[1].splitlines()[1:]
    return [line.split()[0] for line in lines]


@each_notation
@each_network
@pytest.mark.parametrize("merge", [True, False])
def test_links_of_a_chain(monkeypatch, layers, merge, signs):
    monkeypatch.setattr(notation, "of_terminal", lambda: signs)
    chain = cr.explain(*case(layers), merge=merge)
    printed = links_printed(chain)
    assert len(set(printed)) == len(chain.links)
    for name, link in zip(printed[::-1], chain.links, strict=True):
        path = chain.path(name)
        np.testing.assert_allclose(path.gradient, link.gradient)
        # The engine's one pass gave the same.
        np.testing.assert_allclose(path.engine, link.gradient, rtol=1e-10, atol=1e-13)
        assert chain.compress(name).difference <= 1e-12
        assert chain.links[chain.link_of(name)] is link


@each_notation
@each_network
def test_parameters_of_a_chain(monkeypatch, layers, signs):
    monkeypatch.setattr(notation, "of_terminal", lambda: signs)
    net, loss, x, y = case(layers)
    chain = cr.explain(net, loss, x, y)
    influence = chain.influence()
    names = set(re.split(r"[ ,\n]+", str(chain)) + re.split(r"[ ,\n]+", str(influence)))
    for name, symbol in chain.symbols.items():
        assert {name, signs.symbol(symbol)} <= names
        for called in {name, symbol, signs.symbol(symbol)}:
            assert chain.path(called).name == name
            assert cr.nudge(net, loss, x, y, called, None, 0.1).name == name
    for finding in influence.findings:
        for name in finding.where:
            assert chain.path(name).equation
    for link in influence.links:
        assert chain.path(link.symbol).symbol == link.symbol


@each_network
def test_links_and_layers_that_are_nudged(layers):
    net, loss, x, y = case(layers)
    chain = cr.explain(net, loss, x, y)
    for printed, link in zip(links_printed(chain)[::-1], chain.links, strict=True):
        own = [step.node for step in link.steps if step.layer.parameters()]
        if not own and link.steps:
            with pytest.raises(ValueError, match=f"Link {re.escape(printed)} has no parameters"):
                cr.nudge(net, loss, x, y, printed, None, 0.1)
            continue
        slope = cr.nudge(net, loss, x, y, printed, None, 0.1).slope
        gradients = [chain.gradients["x"]]
        if own:
            prefix = f"{own[0].owner}."
            gradients = [g for name, g in chain.gradients.items() if name.startswith(prefix)]
        squares = sum(float(np.sum(gradient**2)) for gradient in gradients)
        assert slope == pytest.approx(np.sqrt(squares), rel=1e-9)


def test_a_link_of_a_network_that_is_not_merged_means_what_that_chain_printed():
    net, loss, x, y = case(NETWORKS["plain"])
    for merge in (True, False):
        chain = cr.explain(net, loss, x, y, merge=merge)
        for link in chain.links:
            np.testing.assert_allclose(chain.path(link.symbol).gradient, link.gradient)


@pytest.mark.parametrize("layers", [NETWORKS["plain"], NETWORKS["named"]], ids=["plain", "named"])
def test_trace_from_each_unit_of_a_link(layers):
    chain = cr.explain(*case(layers))
    for link in chain.links:
        for index in np.ndindex(link.value.shape):
            trace = chain.trace(link.symbol, index)
            assert trace.total == pytest.approx(link.gradient[index], rel=1e-10)
            assert trace.engine == pytest.approx(link.gradient[index], rel=1e-10)
            assert {route.row for route in trace.routes} <= {index[0]}


def test_order_of_a_link_is_that_of_its_parameters(monkeypatch):
    monkeypatch.setattr(gradient_methods, "LIMIT", 0.001)
    chain = cr.explain(*case(NETWORKS["plain"]))
    assert chain.order("O").parameters == 4 * 2 + 2
    assert chain.order("H").parameters == 3 * 4 + 4
    chain = cr.explain(*case(NETWORKS["activation with a name"]))
    with pytest.raises(ValueError, match="link squashed has none"):
        chain.order("squashed")


@each_network
def test_names_are_unlike_each_other(layers):
    net = case(layers)[0]
    for merge in (True, False):
        chain = cr.explain(*case(layers), merge=merge)
        links = [link.symbol for link in chain.links]
        parameters = [*chain.symbols, *chain.symbols.values()]
        assert len({*links, *parameters}) == len(links) + len(parameters)
    assert name_links(net.graph, [[i] for i in range(len(net.graph.nodes))])[0] == "X"


def test_what_is_no_name():
    chain = cr.explain(*case(NETWORKS["plain"]))
    for function in (chain.path, chain.compress, chain.order, chain.link_of):
        with pytest.raises(ValueError, match="no parameter 'H7'"):
            function("H7")
        with pytest.raises(TypeError, match="found by its name"):
            function(3)
