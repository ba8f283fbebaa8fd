"""Turning one number, and following what it changes."""

import numpy as np
import pytest
from in_page import (
    IN_MATRICES,
    SHOWN,
    cells,
    check_links,
    choose,
    moves,
    number,
    rest_at,
    turned_value,
)

import chainrule as cr

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("symbol", "name"), [("W₁", "0.weight"), ("b₃", "4.bias"), ("X", "x")])
def test_a_number_is_turned_by_keyboard(symbol, name, chain, show):
    page = show(chain)
    choose(page, symbol)
    gradient = chain.path(name).gradient
    # The input's entries are those of the row that is shown.
    entries = gradient if name != "x" else gradient[:1]
    steepest = np.unravel_index(np.abs(entries).argmax(), entries.shape)
    title = page.locator("#turn-name").inner_text()
    assert title == f"{symbol}[{', '.join(map(str, steepest))}]"
    array = chain.x[:1] if name == "x" else chain.network.parameters()[name]
    span = float(f"{2 * np.abs(array).max():.1g}")
    for position in (1, -3, 12):
        rest_at(page, position)
        delta = span * position / 40
        assert turned_value(page) == pytest.approx(array[steepest] + delta, rel=SHOWN)
        result = cr.nudge(
            chain.network, chain.loss_function, chain.x, chain.target, name, steepest, delta
        )
        predicted, real, gap, after = moves(page)
        assert predicted == pytest.approx(result.predicted, rel=SHOWN)
        assert real == pytest.approx(result.actual, rel=SHOWN)
        assert gap == pytest.approx(result.actual - result.predicted, rel=SHOWN)
        assert after == pytest.approx(chain.loss + result.actual, rel=SHOWN)
        assert f"{title}: " in page.locator("#turn-status").inner_text()


def test_a_turn_changes_the_whole_page(chain, show):
    page = show(chain)
    page.get_by_role("button", name="∂O/∂H₂, its numbers").click()
    page.get_by_role("button", name="∂L/∂O, its numbers").click()
    rest_at(page, 10)
    changed = chain.network.copy("float64")
    changed.parameters()["0.weight"][2, 0] = turned_value(page)
    after = cr.explain(changed, chain.loss_function, chain.x, chain.target)
    check_links(page, after.links, after.loss)
    for row, factor in zip(
        page.locator("#factors tr").all(), after.path("W1").factors, strict=True
    ):
        norm = row.locator("td").nth(1).inner_text()
        assert number(norm) == pytest.approx(factor.norm, rel=SHOWN)
    shown = cells(page.locator("#opened section").first.locator("table"))
    np.testing.assert_allclose(shown, after.path("W1").factors[0].value[0], rtol=IN_MATRICES)
    page.get_by_role("button", name="As it was").click()
    assert f"L = {chain.loss:.4g}" in page.locator("#about").inner_text()


def test_a_turn_ripples_link_by_link(chain, show):
    page = show(chain)
    entries = page.locator("#numbers button")
    entries.nth(6).click()
    rest_at(page, 15)
    changed = chain.network.copy("float64")
    changed.parameters()["0.weight"][1, 1] = turned_value(page)
    after = cr.explain(changed, chain.loss_function, chain.x, chain.target)
    boxes = page.locator("#ripple > li")
    symbols = [box.locator(".symbol").inner_text() for box in boxes.all()]
    assert symbols == ["W₁[1, 1]", "H", "H₂", "O", "L"]
    assert boxes.nth(1).locator("b").count() == 1  # one entry of H, and all of what is behind
    for box, old, new in zip(boxes.all()[1:4], chain.links[1:], after.links[1:], strict=True):
        for line in box.locator(".layers").all():
            place, _, values = line.inner_text().partition(" ")
            before, now = (number(value) for value in values.split(" → "))
            entry = int(place.strip("[]"))
            assert before == pytest.approx(old.value[0, entry], rel=IN_MATRICES)
            assert now == pytest.approx(new.value[0, entry], rel=IN_MATRICES)


def test_the_value_of_a_link_is_turned_and_held(chain, show):
    page = show(chain)
    page.locator("#array").select_option(label="H₂")
    page.get_by_label("Row of the batch").select_option("1")
    rest_at(page, 8)
    gradient = chain.links[2].gradient[1]
    entry = np.abs(gradient).argmax()
    assert page.locator("#turn-name").inner_text() == f"H₂[1, {entry}]"
    hidden = chain.links[2].value.copy()
    hidden[1, entry] = turned_value(page)
    last = cr.Sequential(chain.network.layers[4], dtype="float64")
    for name, values in chain.network.parameters().items():
        if name.startswith("4."):
            last.parameters()[name.replace("4.", "0.")][...] = values
    loss, _ = chain.loss_function(last.predict(hidden), chain.target)
    assert moves(page)[-1] == pytest.approx(loss, rel=SHOWN)
    assert page.locator("#ripple .symbol").all_inner_texts() == [f"H₂[1, {entry}]", "O", "L"]


def test_entries_are_chosen_by_arrow_keys(chain, show):
    page = show(chain)
    page.locator("#numbers button").first.click()
    for key, name in (
        ("ArrowRight", "W₁[0, 1]"),
        ("ArrowDown", "W₁[1, 1]"),
        ("ArrowLeft", "W₁[1, 0]"),
    ):
        page.keyboard.press(key)
        assert page.locator("#turn-name").inner_text() == name
        assert name in page.evaluate("document.activeElement.ariaLabel")


def test_large_arrays_are_chosen_from_by_number(show):
    net = cr.Sequential(cr.Linear(20, 20), cr.Tanh(), cr.Linear(20, 1), seed=0)
    x = np.random.default_rng(0).normal(size=(3, 20))
    page = show(cr.explain(net, cr.MSELoss(), x, x[:, :1]))
    assert not page.locator("#numbers").is_visible()
    page.get_by_label("entry").fill("41")
    page.keyboard.press("Enter")
    assert page.locator("#turn-name").inner_text() == "W₁[2, 1]"


def test_the_plot_does_not_exaggerate(chain, show):
    """Its axis begins at 0, so that heights are to each other as the losses are."""
    page = show(chain)
    axis = page.locator("#turn-plot text[text-anchor='end']")
    assert axis.first.text_content() == "0"
    assert number(axis.last.text_content()) >= chain.loss


def test_codes_are_not_turned(show):
    net = cr.Sequential(cr.Embedding(5, 3), cr.Flatten(), cr.Linear(6, 2), seed=0)
    page = show(cr.explain(net, cr.CrossEntropyLoss(), [[4, 0], [0, 3]], [0, 1]))
    assert "X" not in page.locator("#array option").all_inner_texts()
    assert page.locator("#turn").is_visible()


def test_paths_of_a_number_add_up_to_its_gradient(chain, show):
    page = show(chain)
    page.get_by_label("Row of the batch").select_option("1")
    page.locator("#numbers button").nth(6).click()
    trace = chain.trace("W1", (1, 1), top=100)
    routes = [route for route in trace.routes if route.row == 1]
    lines = page.locator("#neurons-paths li").all_inner_texts()
    for line, route in zip(lines, routes[:5], strict=False):
        nodes = [f"{s}[{i}]" for s, i in zip(("H", "H₂", "O"), route.units, strict=True)]
        path, _, contribution = line.partition(": ")
        assert path == " \u2192 ".join(["W₁[1, 1]", *nodes, "L"])
        assert number(contribution) == pytest.approx(route.contribution, rel=SHOWN)
    others = sum(route.contribution for route in routes[5:])
    assert number(lines[5].partition(": ")[2]) == pytest.approx(others, rel=SHOWN)
    total, whole = (
        number(part.split()[0])
        for part in page.locator("#neurons-told")
        .inner_text()
        .rstrip(".")
        .split("Together: ")[1]
        .split("add up to ")
    )
    assert total == pytest.approx(sum(route.contribution for route in routes), rel=SHOWN)
    assert whole == pytest.approx(trace.total, rel=SHOWN)
    # What passes between two links is the same sum.
    titles = page.locator("#neurons-plot .edge title").all_text_contents()
    passed = [number(title.rpartition("passes ")[2]) for title in titles]
    between = sum(passed[20:35])
    assert between == pytest.approx(total, rel=IN_MATRICES)
    assert page.locator("#neurons-plot circle").count() == 4 + 5 + 3 + 3
    page.locator("#colour").select_option("gradient")
    first = page.locator("#neurons-plot .node-number").first.text_content()
    assert number(first) == pytest.approx(chain.gradients["x"][1, 0], rel=0.06)
    page.locator("#colour").select_option("influence")
    first = page.locator("#neurons-plot .node-number").first.text_content()
    expected = chain.x[1, 0] * chain.gradients["x"][1, 0]
    assert number(first) == pytest.approx(expected, rel=0.06)


def test_wide_networks_are_not_drawn_as_nodes(show):
    net = cr.Sequential(cr.Linear(13, 2), seed=0)
    page = show(cr.explain(net, cr.MSELoss(), np.ones((1, 13)), np.zeros((1, 2))))
    assert not page.locator("#neurons").is_visible()


def test_a_number_is_chosen_in_a_heat_map(chain, show):
    page = show(chain)
    page.get_by_role("button", name="∂L/∂W₁, its numbers").click()
    cell = page.locator("#opened tr").nth(3).locator("td").nth(2)
    cell.hover()
    assert page.locator("#opened .told").inner_text().startswith("[2, 2]: ")
    cell.click()
    assert page.locator("#turn-name").inner_text() == "W₁[2, 2]"
    page.get_by_role("button", name="∂L/∂W₁, its numbers").click()
    page.get_by_role("button", name="∂H/∂W₁, its numbers").click()
    page.locator("#opened rect").nth(20 + 13).click(force=True)  # row 1, column 13
    assert page.locator("#turn-name").inner_text() == "W₁[2, 3]"
    choose(page, "X")
    page.get_by_role("button", name="∂L/∂X, its numbers").click()
    page.locator("#opened tr").nth(2).locator("td").nth(2).click()
    assert page.locator("#turn-name").inner_text() == "X[1, 2]"
    assert page.get_by_label("Row of the batch").input_value() == "1"


def test_the_bars_follow_a_turn(chain, show):
    page = show(chain)
    rest_at(page, 10)
    changed = chain.network.copy("float64")
    changed.parameters()["0.weight"][2, 0] = turned_value(page)
    after = cr.explain(changed, chain.loss_function, chain.x, chain.target)
    for row, link in zip(page.locator("#glance tr").all(), after.links[::-1], strict=True):
        shown = number(row.locator("td").nth(1).inner_text())
        assert shown == pytest.approx(np.linalg.norm(link.gradient), rel=SHOWN)


def test_a_click_on_a_node_or_an_edge_chooses_its_number(chain, show):
    page = show(chain)
    page.locator("#neurons-plot circle").nth(4 + 2).click()
    assert page.locator("#turn-name").inner_text() == "H[0, 2]"
    edge = page.locator("#neurons-plot .edge").nth(5 * 4 + 2 * 5 + 3)  # from H[3] to H₂[2]
    edge.dispatch_event("click")
    assert page.locator("#turn-name").inner_text() == "W₂[3, 2]"
    assert page.locator("#neurons-paths li").first.inner_text().startswith("W₂[3, 2] → H₂[2] → ")
