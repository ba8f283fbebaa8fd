"""Looking at the chain, its factors and their product: they are the engine's figures."""

import numpy as np
import pytest
from in_page import (
    IN_MATRICES,
    SHOWN,
    cancel_to_the_end,
    cells,
    check_links,
    choose,
    deep_chain,
    number,
)

import chainrule as cr
from chainrule.explain.compression import compress
from chainrule.explain.notation import SYMBOLS
from chainrule.explain.proof import unbuilt_paths

pytestmark = pytest.mark.once


def test_the_chain_shows_its_values_and_derivatives(chain, show):
    page = show(chain)
    assert page.title() == "4 \u2192 5 \u2192 3 \u2192 3, CrossEntropyLoss: the chain rule"
    check_links(page, chain.links, chain.loss)


@pytest.mark.parametrize("name", ["x", "0.weight", "2.bias", "4.weight"])
def test_a_path_is_chosen_and_lights_up(name, chain, show):
    page, path = show(chain), chain.path(name)
    choose(page, {"x": "X", "0.weight": "W₁", "2.bias": "b₂", "4.weight": "W₃"}[name])
    lit = page.locator("#chain > li.lit").count()
    assert lit == 1 + len(chain.links) - (0 if name == "x" else chain.link_of(name))
    rows = page.locator("#factors tr").all()
    for row, factor, product in zip(rows, path.factors, path.running, strict=True):
        _, norm, _, norm_so_far = row.locator("td").all_inner_texts()
        assert number(norm) == pytest.approx(factor.norm, rel=SHOWN)
        assert number(norm_so_far) == pytest.approx(np.linalg.norm(product), rel=SHOWN)


def test_factors_open_for_the_chosen_row(chain, show):
    page, path = show(chain), chain.path("2.weight")
    choose(page, "W₂")
    buttons = page.locator("#product").get_by_role("button")
    assert buttons.count() == 1 + len(path.factors)
    for row in (0, 1):
        page.get_by_label("Row of the batch").select_option(str(row))
        for position, factor in enumerate(path.factors, 1):
            button = buttons.nth(position)
            button.click()
            assert button.get_attribute("aria-expanded") == "true"
            panel = page.locator("#opened section")
            matrix, norm = factor.value[row], np.linalg.norm(factor.value[row])
            said = panel.inner_text().partition("norm ")[2].partition(" in row")[0]
            assert number(said) == pytest.approx(norm, rel=SHOWN)
            if not panel.locator("table").count():  # too wide for its numbers: a picture
                assert panel.locator("rect").count() == matrix.size
                assert "% of the cells are 0" in panel.get_by_role("img").first.get_attribute(
                    "aria-label"
                )
                panel.locator("summary").click()
                panel.locator("table").wait_for()
            shown = cells(panel.locator("table"))
            np.testing.assert_allclose(shown, matrix, rtol=IN_MATRICES)
            button.click()
            assert panel.count() == 0


def test_what_is_open_stays_open(chain, show):
    page, opened = show(chain), ["∂H/∂W₁"]
    page.get_by_role("button", name="∂H/∂W₁, its numbers").click()
    page.locator("#opened summary").click()
    for another in ("∂O/∂H₂", "∂L/∂W₁"):
        page.get_by_role("button", name=f"{another}, its numbers").click()
        opened.insert(0, another)
        assert page.locator("#opened h3").all_inner_texts() == opened
        assert page.locator("#opened details table").is_visible()
    page.get_by_label("Row of the batch").select_option("1")
    assert page.locator("#opened h3").all_inner_texts() == opened
    table = page.locator("#opened details table")
    table.wait_for()
    matrix = chain.path("0.weight").factors[-1].value[1]
    np.testing.assert_allclose(cells(table), matrix, rtol=IN_MATRICES)


def test_a_panel_says_its_title_once(chain, show):
    page = show(chain)
    page.get_by_role("button", name="∂L/∂W₁, its numbers").click()
    assert page.locator("#opened").aria_snapshot().count("∂L/∂W₁") == 1


def test_the_gradient_opens_in_its_own_shape(chain, show):
    page = show(chain)
    page.get_by_role("button", name="∂L/∂W₁, its numbers").click()
    shown = cells(page.locator("#opened table"))
    np.testing.assert_allclose(shown, chain.gradients["0.weight"], rtol=IN_MATRICES)


def test_the_fraction_cancels_to_the_end(chain, show):
    page, compression = show(chain), chain.compress("0.weight")
    lines, status = page.locator("#derivation li"), page.locator("#cancel-status")
    assert page.locator("#cancel").inner_text() == "Cancel ∂O"
    for done, path in enumerate(compression.paths):
        if done:
            page.locator("#cancel").click()
            assert path.format(SYMBOLS) in status.inner_text()
        assert lines.count() == done + 1
        assert lines.last.locator(".fraction").count() == 1 + len(path.factors)
        norm = lines.last.inner_text().rpartition("norm ")[2]
        assert number(norm) == pytest.approx(path.factors[0].norm, rel=SHOWN)
    assert page.locator(".gone").count() == 2 * (len(compression.paths) - 1)
    proof = compress(unbuilt_paths(chain)["0.weight"])
    assert page.locator("#proof-text").inner_text() == proof.proof
    norm, difference, ulp, apart = map(number, page.locator("#proof dd").all_inner_texts())
    assert norm == pytest.approx(np.linalg.norm(chain.gradients["0.weight"]), rel=SHOWN)
    assert difference == pytest.approx(proof.difference, rel=SHOWN)
    assert ulp == pytest.approx(proof.ulp, rel=SHOWN)
    assert apart < 1e-15
    page.locator("#cancel").click()
    assert lines.count() == 1
    assert not page.locator("#proof").is_visible()


def test_factors_that_were_not_built_say_so(chain, show):
    limited = cr.explain(
        chain.network, chain.loss_function, chain.x, chain.target, max_elements=100
    )
    page = show(limited)
    assert page.locator("#factors tr").last.locator("td").nth(1).inner_text() == "\N{EN DASH}"
    assert "more than 100 elements (max_elements)" in page.locator("#unbuilt").inner_text()
    page.get_by_role("button", name="∂H/∂W₁, its numbers").click()
    assert "too large to show" in page.locator("#opened").inner_text()
    cancel_to_the_end(page)
    assert "not built" in page.locator("#derivation li").last.inner_text()
    assert page.locator("#proof-text").inner_text() == limited.compress("W1").proof
    assert page.locator("#proof dd").last.inner_text() == "\N{EN DASH}"


def test_an_entry_of_a_product_is_written_out(chain, show):
    page = show(chain)
    choose(page, "X")
    page.get_by_label("Row of the batch").select_option("1")
    factors = [factor.value[1] for factor in chain.path("x").factors]
    terms = page.locator("#matrices .term")
    assert terms.count() == len(factors)
    product = factors[0]
    for k, factor in enumerate(factors[1:], 1):
        before, product = product, product @ factor
        terms.nth(k).locator("button").nth(1).hover()
        said = page.locator("#sum").inner_text()
        assert number(said.rpartition("= ")[2]) == pytest.approx(product[0, 1], rel=IN_MATRICES)
        parts = said.partition("= ")[2].rpartition(" = ")[0].split(" + ")
        for part, a, b in zip(parts, before[0], factor[:, 1], strict=True):
            found = [number(x.strip("()")) for x in part.split(" · ")]
            assert found == pytest.approx([a, b], rel=IN_MATRICES)
        lit = page.locator(".lit-cell")
        assert lit.count() == 1 + len(factor) + before.size
    page.mouse.move(0, 0)  # else what scrolls under it is pointed at
    page.keyboard.press("Tab")
    terms.first.locator("button").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#sum").inner_text().startswith("∂L/∂O[1] = ")


def test_large_factors_are_not_shown_in_numbers(show):
    net = cr.Sequential(cr.Linear(30, 2), seed=0)
    page = show(cr.explain(net, cr.MSELoss(), np.ones((1, 30)), np.zeros((1, 2))))
    assert not page.locator("#in-numbers").is_visible()


@pytest.mark.parametrize("is_precomputed", [False, True])
def test_vanishing_gradients_are_seen_at_a_glance(is_precomputed, show, request):
    if is_precomputed:
        request.getfixturevalue("precomputed")
    chain = deep_chain()
    page, influence = show(chain), chain.influence()
    rows = page.locator("#glance tr").all()
    widths = [row.locator(".bar").bounding_box()["width"] for row in rows]
    assert widths == sorted(widths, reverse=True)  # from the output back
    for row, link, measures in zip(rows, chain.links[::-1], influence.links[::-1], strict=True):
        assert number(row.locator("td").nth(1).inner_text()) == pytest.approx(
            np.linalg.norm(link.gradient), rel=SHOWN
        )
        marks = {"dead": measures.dead, "saturated": measures.saturated}
        expected = [f"{100 * value:.0f} % {name}" for name, value in marks.items() if value]
        assert row.locator(".mark").all_inner_texts() == expected
    assert "logarithmic" in page.locator(".glance caption").first.inner_text()
    finding = influence.findings[0]
    assert finding.text in page.locator("#diagnosis").inner_text()
    assert "at most 0.25" in finding.text
    now = page.locator("#glance-now").inner_text()
    begins, symbol = "Now: the gradient vanishes from ", SYMBOLS.symbol(finding.where[0])
    assert now.startswith(begins + symbol) != is_precomputed
    lines = page.locator("#chain .back .line").all()
    thick = "e => parseFloat(getComputedStyle(e, '::before').height)"
    heights = [line.evaluate(thick) for line in lines]
    assert heights == sorted(heights)
    assert heights[-1] > heights[0] + 2


@pytest.mark.parametrize("is_precomputed", [False, True])
def test_why_backward_is_counted(is_precomputed, chain, show, request):
    if is_precomputed:
        request.getfixturevalue("precomputed")
    page, order = show(chain), chain.order()
    rows = page.locator("#work tr").all()
    for row, method in zip(rows, order.methods, strict=True):
        assert row.locator("th").inner_text() in method.name.lower()
        assert number(row.locator("td").last.inner_text()) == method.multiply_adds
    widths = [row.locator(".bar").bounding_box()["width"] for row in rows]
    assert widths == sorted(widths)
