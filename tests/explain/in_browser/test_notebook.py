"""The page in a notebook, as the output of a cell."""

import pytest
from in_page import choose, lightness, moves, number, rest_at

pytestmark = pytest.mark.once


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_runs_in_a_cell(scheme, browser, chain, tmp_path):
    shown = chain.page(height=700)
    file = tmp_path / "notebook.html"
    file.write_text(f"<!DOCTYPE html><p>A cell:</p>{shown._repr_html_()}", encoding="utf-8")
    context = browser.new_context(color_scheme=scheme, viewport={"width": 900, "height": 800})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(file.as_uri())
    outside = page.locator("iframe")
    assert outside.get_attribute("title") == f"The chain rule at work: {shown.title}"
    assert outside.bounding_box()["height"] == 700
    inside = outside.element_handle().content_frame()
    inside.wait_for_selector(".alive")
    choose(inside, "W₂")
    rest_at(inside, 5)
    assert moves(inside)[-1] != pytest.approx(chain.loss, rel=1e-6)
    inside.locator("#ten-steps").click()
    loss = number(inside.locator("#learn-text").inner_text().partition("L = ")[2])
    assert loss < chain.loss
    assert inside.evaluate("document.documentElement.scrollWidth") <= 900
    is_dark = lightness(inside, "backgroundColor") < lightness(inside, "color")
    assert is_dark == (scheme == "dark")
    # Its scripts reach nothing of the notebook.
    with pytest.raises(Exception, match="SecurityError"):
        inside.evaluate("parent.document.title")
    context.close()
    assert wrong == []


def test_a_chain_is_shown_as_a_table_and_its_page_is_small(chain):
    assert "<iframe" not in chain._repr_html_()
    assert len(chain.page()._repr_html_()) < 250_000
    with pytest.raises(ValueError, match="height"):
        chain.page(height=0)
