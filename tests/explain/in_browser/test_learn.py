"""Letting the network learn, and reading the story."""

import numpy as np
import pytest
from in_page import SHOWN, choose, moves, number, rest_at

import chainrule as cr

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("name", "optimizer"), [("sgd", cr.SGD(0.1)), ("adam", cr.Adam(0.01))])
def test_steps_are_those_of_the_engine(name, optimizer, chain, show):
    page = show(chain)
    rest_at(page, 7)  # what was turned goes back before the first step
    page.locator("#optimizer").select_option(name)
    assert number(page.locator("#rate-text").inner_text()) == optimizer.lr
    net, loss = chain.network.copy("float64"), chain.loss_function
    net.training = False
    for button, steps in (("One step", 1), ("Ten steps", 10), ("One step", 1)):
        page.get_by_role("button", name=button).click()
        for _ in range(steps):
            net.backward(loss(net.forward(chain.x), chain.target)[1])
            optimizer.step(net)
        after = cr.explain(net, loss, chain.x, chain.target)
        assert f"L = {after.loss:.4g}" in page.locator("#learn-status").inner_text()
        assert f"L = {after.loss:.4g}" in page.locator("#about").inner_text()
        for row, factor in zip(
            page.locator("#factors tr").all(), after.path("W1").factors, strict=True
        ):
            assert number(row.locator("td").nth(1).inner_text()) == pytest.approx(
                factor.norm, rel=SHOWN
            )
    assert page.locator("#learn-plot path.real").get_attribute("d").count("L") == 12
    page.get_by_role("button", name="Back to the start").click()
    assert f"L = {chain.loss:.4g}" in page.locator("#learn-text").inner_text()
    assert page.locator("#learn-status").inner_text().startswith("After 0 steps")


def test_it_plays_until_it_is_paused(chain, show):
    page = show(chain)
    play = page.locator("#play")
    play.click()
    assert play.inner_text() == "Pause"
    while number(page.locator("#learn-text").inner_text().partition(" ")[0]) <= 5:
        page.wait_for_timeout(20)
    play.click()
    steps = page.locator("#learn-text").inner_text()
    assert play.inner_text() == "Play"
    page.wait_for_timeout(100)
    assert page.locator("#learn-text").inner_text() == steps
    assert number(steps.partition("L = ")[2]) < chain.loss


def test_two_inputs_have_a_map(show):
    net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    y = (x[:, :1] > 0).astype(float)
    loss, optimizer = cr.BCEWithLogitsLoss(), cr.SGD(0.1)
    page = show(cr.explain(net, loss, x, y))
    page.locator("#ten-steps").click()
    net = net.copy("float64")
    for _ in range(10):
        net.backward(loss(net.forward(x), y)[1])
        optimizer.step(net)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.15 * (high - low)
    low, high = low - margin, high + margin
    cells = [(3, 5), (20, 9), (44, 30), (10, 40), (30, 22)]
    read = """() => {
        const context = document.getElementById("surface-map").getContext("2d");
        return [...context.getImageData(0, 0, 336, 336).data];
    }"""
    pixels = np.reshape(page.evaluate(read), (336, 336, 4))
    for column, row in cells:
        share = np.array([column + 0.5, 47 - row + 0.5]) / 48
        output = net.predict((low + share * (high - low))[None])[0, 0]
        red, _, blue, _ = pixels[7 * row + 3, 7 * column + 3]
        assert (red > blue) == (output > 0)
    page = show(
        cr.explain(
            cr.Sequential(cr.Linear(3, 1), seed=0), cr.MSELoss(), x[:3, :1] * [1, 2, 3], y[:3]
        )
    )
    assert not page.locator("#surface").is_visible()


def test_choosing_a_number_pauses_the_play(chain, show):
    page = show(chain)
    play = page.locator("#play")
    play.click()
    assert page.locator("#turned").is_disabled()
    while number(page.locator("#learn-text").inner_text().partition(" ")[0]) <= 3:
        page.wait_for_timeout(20)
    choose(page, "W₂")
    while play.inner_text() != "Play":
        page.wait_for_timeout(20)
    loss = number(page.locator("#learn-text").inner_text().partition("L = ")[2])
    assert loss < chain.loss
    rest_at(page, 9)
    assert moves(page)[-1] != loss
    page.get_by_role("button", name="As it was").click()
    assert moves(page)[-1] == loss  # what was learnt stays
    assert f"L = {loss}" in page.locator("#about").inner_text()


def test_a_rate_that_is_too_large_is_said_to_be(show):
    net = cr.Sequential(cr.Linear(2, 3), cr.ReLU(), cr.Linear(3, 1), seed=0)
    x = np.random.default_rng(0).normal(size=(5, 2))
    page = show(cr.explain(net, cr.MSELoss(), 100 * x, x[:, :1]))
    page.locator("#rate").focus()
    page.keyboard.press("End")
    for _ in range(20):
        page.get_by_role("button", name="Ten steps").click()
    assert "too large" in page.locator("#learn-status").inner_text()
    page.get_by_role("button", name="Back to the start").click()
    assert "too large" not in page.locator("#learn-status").inner_text()


@pytest.mark.parametrize("width", [1400, 390])
def test_the_story_is_told_to_its_end(width, show):
    net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0)
    x = np.random.default_rng(0).normal(size=(4, 2))
    chain = cr.explain(net, cr.MSELoss(), x, x[:, :1])
    page = show(chain, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    page.get_by_role("button", name="The story").click()
    told = page.locator("#told")
    titles, next_step = [], page.get_by_role("button", name="Next")
    while True:
        titles.append(page.locator("#story-title").inner_text())
        assert page.locator("#story-count").inner_text() == f"{len(titles)} of 12"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        place = told.bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width
        if titles[-1] == "A network is such a chain":
            assert f"{chain.loss:.4g}" in page.locator("#story-text").inner_text()
        if titles[-1] == "Paths add up":  # through every hidden unit
            assert page.locator("#neurons-paths li").count() == 3
        if next_step.is_disabled():
            break
        page.keyboard.press("Enter")
    assert len(set(titles)) == 12
    assert page.locator("#learn-text").inner_text().startswith("10 steps")
    page.get_by_role("button", name="Back", exact=True).click()
    assert page.locator("#story-title").inner_text() == titles[-2]
    page.get_by_role("button", name="Close").click()
    assert not told.is_visible()
    assert page.evaluate("document.activeElement.id") == "story-begin"
