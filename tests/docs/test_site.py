"""The site: its first pages' examples are true, and its pages fit on a phone."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SITE = DOCS / "_build" / "html"
PAGES = ["index", "graphs", "chain-rule", "performance", "peers", "reference/layers"]
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("page", ["index.md", "getting-started.md"])
def test_first_pages(page, tmp_path):
    result = runpy.run_path(str(DOCS / "run_guide.py"))["run"](DOCS / page, tmp_path)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.skipif(not SITE.is_dir(), reason="the site has not been built")
def test_pages_fit_on_a_phone(browser):
    page = browser.new_page(viewport=PHONE)
    widths = {}
    for name in PAGES:
        page.goto((SITE / f"{name}.html").as_uri(), wait_until="domcontentloaded")
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert widths == dict.fromkeys(PAGES, PHONE["width"])


@pytest.mark.skipif(not SITE.is_dir(), reason="the site has not been built")
def test_the_first_page_leads_to_a_network_that_runs(browser):
    page = browser.new_page()
    page.goto((SITE / "index.html").as_uri(), wait_until="domcontentloaded")
    page.get_by_role("link", name="Open this page").click()
    page.get_by_role("button", name="One step").click()
    assert page.locator("#learn-text").inner_text().startswith("1 step:")
    page.close()
