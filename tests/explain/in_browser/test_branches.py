"""Networks with branches, as graphs."""

import numpy as np
import pytest
from in_page import SHOWN, cancel_to_the_end, moves, number, rest_at

import chainrule as cr
from chainrule.explain.notation import SYMBOLS

pytestmark = pytest.mark.once


TIED = cr.Shared(cr.Linear(3, 3), cr.Tanh())
GATE = cr.Sequential(cr.Linear(3, 3), cr.Sigmoid(), seed=4)
SIDES = cr.Linear(3, 2), cr.Linear(3, 3)
GRAPHS = {
    "residual": [cr.Linear(3, 3), cr.Residual(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 3))],
    "gated": [
        cr.Linear(3, 3),
        cr.Parallel(GATE, cr.Tanh(), combine="product"),
        cr.Linear(3, 2),
    ],
    "columns": [cr.Parallel(*SIDES, combine="concatenate"), cr.Linear(5, 2)],
    "shared side by side": [cr.Parallel(TIED, cr.Sequential(cr.Tanh(), TIED)), cr.Linear(3, 1)],
    "heads": [cr.Linear(3, 3), cr.Branch(cr.Linear(3, 2), cr.Identity(), cr.Residual(cr.Tanh()))],
}  # fmt: skip


def explained(layers):
    net = cr.Sequential(*layers, seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3))
    outputs = net.predict(x)
    several = isinstance(outputs, tuple)
    loss = cr.MultiLoss(*[cr.MSELoss()] * len(outputs)) if several else cr.MSELoss()
    y = tuple(out + 1 for out in outputs) if several else outputs + 1
    return net, loss, x, y


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_a_network_with_branches_is_drawn_as_a_graph(layers, show):
    net, loss, x, y = explained(layers)
    chain = cr.explain(net, loss, x, y)
    page, path = show(chain), chain.path("W1")
    assert page.locator("#graph .symbol").count() == len(chain.links) + 1
    inputs = sum(len(link.inputs) for link in chain.links)
    assert page.locator("#graph path").count() == inputs + len(net.graph.outputs)
    rows = page.locator("#glance tr").all()
    for row, link in zip(rows, chain.links[::-1], strict=True):
        norm = number(row.locator("td").nth(1).inner_text())
        assert norm == pytest.approx(np.linalg.norm(link.gradient), rel=SHOWN)
    assert page.locator("#equations p").first.inner_text() == path.format(SYMBOLS)
    assert page.locator("#equations p").count() == 1 + len(path.sums)
    for row, factor in zip(page.locator("#factors tr").all(), path.factors, strict=True):
        assert row.locator("th").inner_text() == factor.format(SYMBOLS)
        assert number(row.locator("td").nth(1).inner_text()) == pytest.approx(
            factor.norm, rel=SHOWN
        )
    assert page.locator("#matrices .term").count() == len(path.factors)
    cancel_to_the_end(page)
    assert number(page.locator("#proof dd").first.inner_text()) == pytest.approx(
        np.linalg.norm(path.gradient), rel=SHOWN
    )
    assert number(page.locator("#proof dd").last.inner_text()) < 1e-14
    assert page.locator("#neurons .node").count() == sum(
        link.value.shape[1] for link in chain.links
    )
    total = page.locator("#neurons-told").inner_text().partition("add up to ")[2].rstrip(".")
    steepest = np.abs(path.gradient).max()
    assert abs(number(total)) == pytest.approx(steepest, rel=SHOWN)
    assert not page.locator("#why").is_visible()
    rest_at(page, 6)
    value = page.locator("#turned-text").inner_text().rpartition(" ")[2]
    index = [int(i) for i in page.locator("#turn-name").inner_text()[3:-1].split(",")]
    changed = net.copy()
    changed.training = False
    next(iter(changed.parameters().values()))[tuple(index)] = number(value)
    after, _ = loss(changed.forward(x), y)
    assert moves(page)[-1] == pytest.approx(after, rel=SHOWN)
    moved = [
        link.symbol
        for link, other in zip(chain.links, cr.explain(changed, loss, x, y).links, strict=True)
        if not np.array_equal(link.value, other.value)
    ]
    shown = page.locator("#ripple .symbol").all_inner_texts()[1:-1]
    assert shown == [SYMBOLS.symbol(symbol) for symbol in moved]
    page.get_by_role("button", name="One step").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_a_large_one_is_computed_before(layers, show, precomputed):
    chain = cr.explain(*explained(layers))
    page, path = show(chain), chain.path("W1")
    assert page.locator("#graph .symbol").count() == len(chain.links) + 1
    assert page.locator("#equations p").first.inner_text() == path.format(SYMBOLS)
    for row, factor in zip(page.locator("#factors tr").all(), path.factors, strict=True):
        assert number(row.locator("td").nth(1).inner_text()) == pytest.approx(
            factor.norm, rel=SHOWN
        )
    cancel_to_the_end(page)
    assert page.locator("#proof-text").inner_text() == chain.compress("W1").proof
    assert page.locator("#nudge").is_visible()


INSIDE = """() => [...document.querySelectorAll("svg text")].filter((text) => {
    const own = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect();
    return own.width && (own.left < all.left - 1 || own.right > all.right + 1);
}).map((text) => text.textContent)"""

HEIGHTS = """() => [...document.querySelectorAll("#graph text")]
    .filter((text) => text.textContent).map((text) => text.getBoundingClientRect().height)"""


@pytest.mark.parametrize("width", [1400, 1024, 390])
@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_nothing_is_cut_off(layers, width, show):
    page = show(cr.explain(*explained(layers)), viewport={"width": width, "height": 900})
    cancel_to_the_end(page)
    rest_at(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(INSIDE) == []
    assert min(page.evaluate(HEIGHTS)) > 9  # pixels: legible
