"""explain on networks with branches: each sum has its terms, and they add up."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import notation

pytestmark = pytest.mark.once

TIED = cr.Shared(cr.Linear(3, 3), cr.Tanh())
GATE = cr.Sequential(cr.Linear(3, 3), cr.Sigmoid(), seed=4)
NETWORKS = {
    "residual": [cr.Linear(3, 3), cr.Residual(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 3))],
    "residual first": [cr.Residual(cr.Tanh()), cr.Linear(3, 2)],
    "residual in residual": [cr.Residual(cr.Residual(cr.Linear(3, 3)), cr.SiLU()), cr.Linear(3, 2)],
    "deep": [cr.Residual(*[cr.Linear(3, 3)] * 12), cr.Linear(3, 2)],
    "sum": [cr.Linear(3, 3), cr.Parallel(cr.Linear(3, 2), cr.Linear(3, 2), cr.Linear(3, 2))],
    "square": [cr.Linear(3, 3), cr.Parallel(cr.Identity(), cr.Identity(), combine="product")],
    "gated": [cr.Linear(3, 3), cr.Parallel(GATE, cr.Tanh(), combine="product"), cr.Linear(3, 2)],
    "columns": [
        cr.Parallel(cr.Linear(3, 2), cr.Residual(cr.Linear(3, 3)), combine="concatenate"),
        cr.Linear(5, 2),
    ],
    "shared": [TIED, cr.Linear(3, 3), TIED, cr.Linear(3, 2)],
    "shared side by side": [cr.Parallel(TIED, cr.Sequential(cr.Tanh(), TIED)), cr.Linear(3, 1)],
    "shared in a residual": [TIED, cr.Residual(TIED, cr.Linear(3, 3), TIED), cr.Linear(3, 2)],
    "heads": [cr.Linear(3, 3), cr.Branch(cr.Linear(3, 2), cr.Identity(), cr.Residual(cr.Tanh()))],
    "shared heads": [TIED, cr.Branch(TIED, cr.Sequential(TIED, cr.Linear(3, 1), seed=2))],
}
each_network = pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def targets_for(net, x):
    outputs = net.predict(x)
    if not isinstance(outputs, tuple):
        return cr.MSELoss(), batch(outputs.shape, 1)
    losses = [cr.MSELoss()] * len(outputs)
    loss = cr.MultiLoss(*losses, weights=range(1, len(outputs) + 1))
    return loss, tuple(batch(out.shape, i) for i, out in enumerate(outputs))


def chain_of(layers, rows=4, dtype="float64", **options):
    net, x = cr.Sequential(*layers, seed=0, dtype=dtype), batch((rows, 3))
    return cr.explain(net, *(targets_for(net, x)[:1]), x, targets_for(net, x)[1], **options)


def product_of(factors):
    product = factors[0].value
    for factor in factors[1:]:
        product = product @ factor.value
    return product


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("merge", [True, False])
@each_network
def test_products_and_sums_are_the_engines_gradient(layers, merge):
    chain = chain_of(layers, merge=merge)
    for name, engine in chain.gradients.items():
        path = chain.path(name)
        close(path.gradient, engine)
        close(path.product(), engine)
        assert chain.compress(name).difference < 1e-13
        for factor in path.sums:
            close(factor.value, sum(product_of(term.factors) for term in factor.terms))
            d_of = np.ones((len(factor.value), 1, 1))
            if factor.of != "L":
                symbols = [link.symbol for link in chain.links]
                d_of = chain.links[symbols.index(factor.of)].gradient[:, np.newaxis]
            for term in factor.terms:
                by_row = (d_of @ product_of(term.factors))[:, 0]
                term = term.gradient.reshape(-1, by_row.shape[1])
                close(term, by_row if len(term) == len(by_row) else by_row.sum(axis=0)[np.newaxis])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_network
def test_gradient_flow_records_the_figures_of_influence(layers, dtype):
    net, X = cr.Sequential(*layers, seed=0, dtype=dtype), batch((20, 3))
    loss, y = targets_for(net, X)
    adam, flow = cr.Adam(lr=0.01), cr.GradientFlow(every=5, rows=20)
    options = {"loss": loss, "optimizer": adam, "callbacks": [flow], "progress": False}
    flow = cr.fit(net, X, y, epochs=1, batch_size=4, **options).gradient_flow
    influence = cr.explain(net, loss, X, y).influence(adam)
    assert flow.links == tuple(link.symbol for link in influence.links)
    assert len(flow.is_matrix) == len(flow.parameters)
    rtol = 1e-10 if dtype == "float64" else 2e-4
    for ours, theirs in (
        (flow.forward, [link.forward for link in influence.links]),
        (flow.backward, [link.backward for link in influence.links]),
        (flow.gradient, [parameter.gradient for parameter in influence.parameters]),
        (flow.update_ratio, [parameter.update_ratio for parameter in influence.parameters]),
    ):
        np.testing.assert_allclose(ours[-1], theirs, rtol=rtol)


@each_network
def test_text_has_at_most_80_columns_and_a_plain_form(layers, monkeypatch):
    chain = chain_of(layers, rows=1)
    for signs in (notation.SYMBOLS, notation.PLAIN):
        monkeypatch.setattr(notation, "of_terminal", lambda signs=signs: signs)
        paths = [chain.path(name) for name in ("x", *chain.symbols)]
        for shown in (chain, chain.influence(), *paths, *map(chain.compress, chain.symbols)):
            text = str(shown)
            assert max(map(len, text.splitlines())) <= 80, text
            assert text.isascii() or signs is notation.SYMBOLS
            assert shown._repr_html_()


def written(path):
    sums = [
        f"{factor.format(notation.PLAIN)} = "
        + " + ".join(term.format(notation.PLAIN) for term in factor.terms)
        for factor in path.sums
    ]
    return [path.format(notation.PLAIN), *sums]


def test_a_residual_is_a_shortcut_and_what_lies_beside_it():
    chain = chain_of([*NETWORKS["residual"], cr.Linear(3, 2)])
    assert [link.symbol for link in chain.links] == ["X", "H1", "H2", "H3", "H4", "O"]
    assert [link.inputs for link in chain.links] == [(), (0,), (1,), (2,), (1, 3), (4,)]
    path = chain.path("W1")
    assert written(path) == [
        "dL/dW1 = dL/dO . dO/dH4 . dH4/dH1 . dH1/dW1",
        "dH4/dH1 = d+H4/dH1 + dH4/dH3 . dH3/dH2 . dH2/dH1",
    ]
    shortcut, beside = path.sums[0].terms
    np.testing.assert_array_equal(shortcut.gradient, chain.links[4].gradient)
    np.testing.assert_array_equal(shortcut.factors[0].value, np.broadcast_to(np.eye(3), (4, 3, 3)))
    close(shortcut.gradient + beside.gradient, chain.links[1].gradient)
    assert (shortcut.through(notation.PLAIN), beside.through(notation.PLAIN)) == (
        "directly",
        "through H2, H3",
    )
    assert written(chain.path("W2")) == ["dL/dW2 = dL/dO . dO/dH4 . dH4/dH3 . dH3/dH2 . dH2/dW2"]
    assert "H4 = Residual(...) of H1, H3" in chain._layers(notation.PLAIN)


def test_a_shared_weight_has_a_term_for_each_place():
    assert written(chain_of(NETWORKS["shared"]).path("W1")) == [
        "dL/dW1 = dL/dO . dO/dH3 . dH3/dW1",
        "dH3/dW1 = d+H3/dW1 + dH3/dH2 . dH2/dH1 . dH1/dW1",
    ]
    assert written(chain_of(NETWORKS["shared side by side"]).path("b1")) == [
        "dL/db1 = dL/dO . dO/dH3 . dH3/db1",
        "dH3/db1 = dH3/dH1 . dH1/db1 + dH3/dH2 . dH2/db1",
    ]


def test_heads_meet_in_the_loss():
    chain = chain_of(NETWORKS["heads"])
    assert [link.symbol for link in chain.links] == ["X", "H1", "O1", "O2", "H4", "O3"]
    assert written(chain.path("x")) == [
        "dL/dX = dL/dH1 . dH1/dX",
        "dL/dH1 = dL/dO1 . dO1/dH1 + dL/dO2 . dO2/dH1 + dL/dO3 . dO3/dH4 . dH4/dH1 "
        "+ dL/dO3 . d+O3/dH1",
    ]
    assert written(chain.path("W2")) == ["dL/dW2 = dL/dO1 . dO1/dW2"]


def test_sums_that_are_too_large_are_not_built():
    chain = chain_of(NETWORKS["residual"], max_elements=20)
    path = chain.path("x")
    assert path.product() is None
    assert [factor.value is None for factor in path.sums] == [True]
    close(sum(term.gradient for term in path.sums[0].terms), chain.links[1].gradient)
    assert "too large to build" in str(path)
    assert chain.compress("x").difference < 1e-13


def test_methods_for_chains_refuse_branches():
    chain = chain_of(NETWORKS["residual"])
    with pytest.raises(ValueError, match="order is for networks that are a chain"):
        chain.order()


def test_trace_follows_a_way_as_long_as_it_is_the_only_one():
    chain = chain_of(NETWORKS["residual"])
    trace = chain.trace("W2", (0, 0))
    assert trace.total == pytest.approx(chain.gradients["1.0.weight"][0, 0])
    for name in ("W1", "x"):
        with pytest.raises(
            ValueError,
            match=r"trace needs .* does not branch there: paths branch at link H1",
        ):
            chain.trace(name, (0, 0))
    with pytest.raises(ValueError, match="W1 is in several"):
        chain_of(NETWORKS["shared"]).trace("W1", (0, 0))


def test_nudging_a_shared_weight_moves_all_its_places():
    net = cr.Sequential(*NETWORKS["shared in a residual"], seed=0)
    x = batch((4, 3))
    loss, y = targets_for(net, x)
    nudge = cr.nudge(net, loss, x, y, "W1", (0, 1), 1e-3)
    assert nudge.actual == pytest.approx(nudge.predicted_to_second_order, rel=1e-4)
    assert cr.nudge(net, loss, x, y, "1.0.0", None, 1e-3).name == "1.0.0"


def test_a_gradient_that_vanishes_on_one_way_is_found_there():
    deep = [layer for _ in range(12) for layer in (cr.Linear(4, 4), cr.Sigmoid())]
    x = batch((16, 4))
    plain = cr.Sequential(*deep, cr.Linear(4, 1), seed=0)
    findings = cr.explain(plain, cr.MSELoss(), x, x[:, 0]).influence().findings
    assert findings[0].kind == "vanishing gradient"
    # The same layers, with a shortcut around each pair.
    blocks = [cr.Residual(*deep[i : i + 2]) for i in range(0, len(deep), 2)]
    residual = cr.Sequential(*blocks, cr.Linear(4, 1), seed=0)
    assert cr.explain(residual, cr.MSELoss(), x, x[:, 0]).influence().findings == ()
    # A head beside them does not hide them.
    heads = cr.Sequential(cr.Branch(cr.Sequential(*deep, seed=0), cr.Linear(4, 1)), seed=0)
    loss = cr.MultiLoss(cr.MSELoss(), cr.MSELoss())
    influence = cr.explain(heads, loss, x, (x, x[:, 0])).influence()
    assert influence.findings[0].kind == "vanishing gradient"
    assert influence.findings[0].where[0].startswith(("H", "O1"))
