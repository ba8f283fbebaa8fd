"""Networks that are too large to run in the page."""

import numpy as np
import pytest
from in_page import IN_MATRICES, SHOWN, cancel_to_the_end, cells, choose, number

import chainrule as cr

pytestmark = pytest.mark.once


def test_a_large_network_shows_what_was_precomputed(precomputed, chain, show):
    page, path = show(chain), chain.path("2.weight")
    assert not page.locator("#turn").is_visible()
    choose(page, "W₂")
    for row, factor in zip(page.locator("#factors tr").all(), path.factors, strict=True):
        norm = row.locator("td").nth(1).inner_text()
        assert number(norm) == pytest.approx(factor.norm, rel=SHOWN)
    page.get_by_label("Row of the batch").select_option("1")
    page.locator("#product").get_by_role("button").nth(1).click()
    shown = cells(page.locator("#opened table"))
    np.testing.assert_allclose(shown, path.factors[0].value[1], rtol=IN_MATRICES)
    cancel_to_the_end(page)
    assert page.locator("#proof-text").inner_text() == chain.compress("W2").proof


@pytest.mark.parametrize(("symbol", "name"), [("W₁", "0.weight"), ("b₃", "4.bias"), ("X", "x")])
def test_the_slider_is_moved_by_keyboard(symbol, name, precomputed, chain, show):
    page = show(chain)
    choose(page, symbol)
    gradient = chain.path(name).gradient
    largest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    entry = page.locator("#entries label").first.inner_text()
    assert entry.startswith(f"{symbol}[{', '.join(map(str, largest))}] = ")
    slider = page.get_by_role("slider", name="Change it by")
    slider.focus()
    for keys in (["ArrowRight"], ["ArrowLeft"] * 5, ["Home"], ["End"]):
        for key in keys:
            page.keyboard.press(key)
        delta = number(page.locator("#delta-text").inner_text())
        assert number(slider.get_attribute("aria-valuetext")) == delta
        result = cr.nudge(
            chain.network, chain.loss_function, chain.x, chain.target, name, largest, delta
        )
        predicted, real, gap, after = page.locator("#nudge .moves td").all_inner_texts()
        assert number(predicted) == pytest.approx(result.predicted, rel=SHOWN)
        assert number(real) == pytest.approx(result.actual, rel=SHOWN)
        # A difference of numbers of six digits.
        error = 1e-5 * abs(result.actual)
        expected = result.actual - result.predicted
        assert number(gap) == pytest.approx(expected, rel=SHOWN, abs=error)
        assert number(after) == pytest.approx(chain.loss + result.actual, rel=SHOWN)
        assert predicted in page.locator("#nudge-status").inner_text()


def test_another_entry_is_nudged(precomputed, chain, show):
    page = show(chain)
    first = page.locator("#real").inner_text()
    page.locator("#entries").get_by_role("radio").nth(1).check()
    assert page.locator("#real").inner_text() != first
    assert page.locator("#curve path.real").get_attribute("d").count("L") == 20


def test_progress_is_shown_on_a_terminal(precomputed, chain, tmp_path, monkeypatch, capsys):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    chain.to_html(tmp_path / "quiet.html")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if stderr were a terminal
    chain.to_html(tmp_path / "told.html")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Computing the page" in shown.err
    quiet, told = (tmp_path / name for name in ("quiet.html", "told.html"))
    assert quiet.read_bytes() == told.read_bytes()
