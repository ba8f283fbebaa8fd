"""Everyone: on any screen, in light and dark, by mouse, by keyboard and by a screen reader."""

import numpy as np
import pytest
from in_page import choose, deep_chain, lightness, use_everything

import chainrule as cr

pytestmark = pytest.mark.once


def test_every_control_is_reached_and_named(chain, show):
    page = show(chain)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    buttons = page.locator("#product button").count()
    assert {"path", "row", "cancel", "array", "turned", "turn-back"} <= reached
    entries = page.locator("#numbers button")
    assert entries.count() == 20
    assert [e.get_attribute("tabindex") for e in entries.all()].count("0") == 1
    for control in page.locator("button, input, select, svg, [tabindex]").all():
        name = control.evaluate(
            "e => e.ariaLabel || e.labels?.[0]?.innerText || e.innerText"
            " || document.getElementById(e.getAttribute('aria-labelledby'))?.innerText"
        )
        assert name.strip()
    assert buttons == page.get_by_role("button", name="its numbers").count()
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.get_by_role("region", name="The chain", exact=True).count() == 1


def test_arrow_keys_choose_a_path_and_enter_opens_a_factor(chain, show):
    page = show(chain)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "story-begin"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "1"
    page.keyboard.press("ArrowDown")
    assert page.locator("#product-title").inner_text() == "The product for b₁"
    assert page.locator("#route").inner_text() == "The path: L ← O ← H₂ ← H ← b₁"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "row"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("#opened section").count() == 1
    page.locator("#cancel").focus()
    for _ in range(3):
        page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.textContent") == "Start again"
    assert page.locator("#proof").is_visible()


@pytest.mark.parametrize("width", [1400, 1024, 390])
def test_nothing_is_cut_off(width, show):
    """Of a long chain neither, in particular not the loss."""
    page = show(deep_chain(), viewport={"width": width, "height": 900})
    page.get_by_role("button", name="Ten steps").click()
    use_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("#chain .box, #ripple .box, #turn, #learn").all():
        place = box.bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width


def test_light_and_dark(chain, show):
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = show(chain, color_scheme=scheme)
        use_everything(page)
        assert (lightness(page, "backgroundColor") < lightness(page, "color")) == is_dark


def test_a_phone(chain, show):
    page = show(chain, viewport={"width": 360, "height": 640})
    for symbol in ("X", "W₁", "b₃"):
        choose(page, symbol)
        use_everything(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_long_names_and_markup_in_names(show):
    name = "</script><b>" + "W" * 60
    net = cr.Sequential(cr.Linear(3, 4, name=name), cr.Tanh(), cr.Linear(4, 2), seed=0)
    x = np.ones((1, 3))
    page = show(cr.explain(net, cr.MSELoss(), x, x[:, :2]), viewport={"width": 360, "height": 640})
    assert page.locator("#chain .symbol").nth(2).inner_text() == name
    use_everything(page)
    assert page.locator("#chain b").count() == 6  # the norms, and none from the name
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_motion_only_for_those_who_like_it(chain, show):
    for choice, duration in (("reduce", "0s"), ("no-preference", "0.2s, 0.2s")):
        page = show(chain, reduced_motion=choice)
        style = "getComputedStyle(document.querySelector('.box')).transitionDuration"
        assert page.evaluate(style) == duration


def test_without_javascript_the_chain_is_a_table(chain, show):
    page = show(chain, java_script_enabled=False)
    assert f"{np.linalg.norm(chain.links[1].value):.4g}" in page.locator("noscript").inner_text()
    assert not page.locator("#cancel").is_visible()
