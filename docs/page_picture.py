"""Make static/page.png, the picture of the page in which a network runs.

Run ``python docs/page_picture.py`` when the page looks different. It needs playwright and chromium.
"""

import shutil
import tempfile
from pathlib import Path

from extensions.small_page import small_chain
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "static" / "page.png"
STEPS = 500
# Of a page that is some screens long, the picture has the parts that move.
STYLE = """
    body { padding: 2rem 2rem !important; }
    footer, main > :not(section), main > section:not(.shown),
    .shown > p, .shown > .side:not(#learn *), #turn > .slide, #neurons > .slide
    { display: none !important; }
    #learn > .side { display: grid !important; grid-template-columns: 1fr 1fr; }
"""


def main() -> None:
    """Write the page, train the network in it, turn a number, and take the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder, "chain.html")
        small_chain().to_html(path)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": 900, "height": 800}, color_scheme="light")
        page.goto(path.as_uri())
        page.get_by_label("Optimizer").select_option("Adam")
        for _ in range(STEPS // 10):
            page.get_by_role("button", name="Ten steps").click()
        page.get_by_label("A number of").select_option(label="X")
        page.get_by_role("button", name="X[0, 1]:").click()
        page.get_by_role("slider", name="X[0, 1]").fill("-15")
        for section in ("section:has(#chain-title)", "#turn", "#learn"):
            page.eval_on_selector(section, "section => section.classList.add('shown')")
        page.add_style_tag(content=STYLE)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
