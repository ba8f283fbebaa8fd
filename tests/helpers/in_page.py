"""What a person does on the page that explains a chain, and reads there."""

import numpy as np
import pytest

import chainrule as cr

SHOWN = 1e-3  # relative: four digits
IN_MATRICES = 1e-2  # three


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def choose(page, symbol):
    page.locator("#chain label").filter(has_text=symbol).get_by_role("radio").check()


def cells(table):
    rows = [row.locator("td").all_inner_texts() for row in table.locator("tr").all()[1:]]
    return [[number(cell) for cell in row] for row in rows]


def check_links(page, links, loss):
    """Check the norms that the chain shows of each link's value and gradient, and the loss."""
    items = page.locator("#chain > li").all()
    for item, link in zip(items, links, strict=False):
        forward, back = (item.locator(f".{way} b").inner_text() for way in ("forward", "back"))
        assert number(forward) == pytest.approx(np.linalg.norm(link.value), rel=SHOWN)
        assert number(back) == pytest.approx(np.linalg.norm(link.gradient), rel=SHOWN)
    assert number(items[-1].locator(".size").inner_text()) == pytest.approx(loss, rel=SHOWN)


def cancel_to_the_end(page):
    button = page.locator("#cancel")
    while button.inner_text() != "Start again":
        button.click()


def rest_at(page, position):
    """Put the slider at a position, from -40 to 40, by its keys."""
    slider = page.locator("#turned")
    start = int(slider.input_value())
    key = "ArrowRight" if position > start else "ArrowLeft"
    for _ in range(abs(position - start)):
        slider.press(key)


def turned_value(page):
    return number(page.locator("#turned").get_attribute("aria-valuetext"))


def moves(page):
    return [number(text) for text in page.locator("#turn .moves td").all_inner_texts()]


def use_everything(page):
    for button in page.locator("#product button").all():
        button.click()
    for summary in page.locator("summary").all():
        summary.click()
    cancel_to_the_end(page)


def deep_chain():
    layers = [cr.Linear(6, 6), cr.Sigmoid()] * 8
    net = cr.Sequential(*layers, cr.Linear(6, 8), cr.ReLU(), cr.Linear(8, 2), seed=0)
    net.parameters()["0.weight"][...] *= 30
    net.parameters()["16.bias"][:3] = -20
    x = np.random.default_rng(0).normal(size=(9, 6))
    return cr.explain(net, cr.MSELoss(), x, x[:, :2])


def lightness(page, what):
    colour = page.evaluate(f"getComputedStyle(document.body).{what}")
    return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(",")))
