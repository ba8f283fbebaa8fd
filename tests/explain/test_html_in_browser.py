"""The page in a real browser: used by mouse and by keyboard, it shows the engine's figures."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain import page_network
from chainrule.explain.compression import compress
from chainrule.explain.notation import SYMBOLS
from chainrule.explain.proof import unbuilt_paths

pytestmark = pytest.mark.once

SHOWN = 1e-3  # relative: four digits
IN_MATRICES = 1e-2  # three


@pytest.fixture(scope="module", name="chain")
def chain_fixture():
    net = cr.Sequential(
        cr.Linear(4, 5, name="H"), cr.Tanh(), cr.Linear(5, 3), cr.SiLU(), cr.Linear(3, 3), seed=0
    )
    x = np.random.default_rng(0).normal(size=(2, 4))
    return cr.explain(net, cr.CrossEntropyLoss(), x, [0, 2])


@pytest.fixture(name="show")
def show_fixture(browser, tmp_path):
    """Open a chain's page; afterwards nothing may have gone wrong, and nothing been loaded."""
    contexts, requests, wrong = [], [], []

    def show(chain, **options):
        file = tmp_path / "chain.html"
        chain.to_html(file)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert wrong == []
    assert set(requests) == {(tmp_path / "chain.html").as_uri()}


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def choose(page, symbol):
    page.locator("#chain label").filter(has_text=symbol).get_by_role("radio").check()


def cells(table):
    rows = [row.locator("td").all_inner_texts() for row in table.locator("tr").all()[1:]]
    return [[number(cell) for cell in row] for row in rows]


def cancel_to_the_end(page):
    button = page.locator("#cancel")
    while button.inner_text() != "Start again":
        button.click()


# Figures


def test_the_chain_shows_its_values_and_derivatives(chain, show):
    page = show(chain)
    assert page.title() == "4 \u2192 5 \u2192 3 \u2192 3, CrossEntropyLoss: the chain rule"
    links = page.locator("#chain > li").all()
    for item, link in zip(links, chain.links, strict=False):
        forward, back = (item.locator(f".{way} b").inner_text() for way in ("forward", "back"))
        assert number(forward) == pytest.approx(np.linalg.norm(link.value), rel=SHOWN)
        assert number(back) == pytest.approx(np.linalg.norm(link.gradient), rel=SHOWN)
    assert number(links[-1].locator(".size").inner_text()) == pytest.approx(chain.loss, rel=SHOWN)


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


# Turning a number


def rest_at(page, position):
    """Put the slider at a position, from -40 to 40, by its keys."""
    slider = page.locator("#turned")
    slider.focus()
    start = int(slider.input_value())
    key = "ArrowRight" if position > start else "ArrowLeft"
    for _ in range(abs(position - start)):
        page.keyboard.press(key)


def turned_value(page):
    return number(page.locator("#turned").get_attribute("aria-valuetext"))


def moves(page):
    return [number(text) for text in page.locator("#turn .moves td").all_inner_texts()]


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
    items = page.locator("#chain > li").all()
    for item, link in zip(items, after.links, strict=False):
        forward, back = (item.locator(f".{way} b").inner_text() for way in ("forward", "back"))
        assert number(forward) == pytest.approx(np.linalg.norm(link.value), rel=SHOWN)
        assert number(back) == pytest.approx(np.linalg.norm(link.gradient), rel=SHOWN)
    assert number(items[-1].locator(".size").inner_text()) == pytest.approx(after.loss, rel=SHOWN)
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


def test_wide_networks_are_not_drawn_as_nodes(show):
    net = cr.Sequential(cr.Linear(13, 2), seed=0)
    page = show(cr.explain(net, cr.MSELoss(), np.ones((1, 13)), np.zeros((1, 2))))
    assert not page.locator("#neurons").is_visible()


# The product in numbers


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
    page.keyboard.press("Tab")
    terms.first.locator("button").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#sum").inner_text().startswith("∂L/∂O[1] = ")


def test_large_factors_are_not_shown_in_numbers(show):
    net = cr.Sequential(cr.Linear(30, 2), seed=0)
    page = show(cr.explain(net, cr.MSELoss(), np.ones((1, 30)), np.zeros((1, 2))))
    assert not page.locator("#in-numbers").is_visible()


# At a glance


def deep_chain():
    layers = [cr.Linear(6, 6), cr.Sigmoid()] * 8
    net = cr.Sequential(*layers, cr.Linear(6, 8), cr.ReLU(), cr.Linear(8, 2), seed=0)
    net.parameters()["0.weight"][...] *= 30
    net.parameters()["16.bias"][:3] = -20
    x = np.random.default_rng(0).normal(size=(9, 6))
    return cr.explain(net, cr.MSELoss(), x, x[:, :2])


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
    assert influence.findings[0].text in page.locator("#diagnosis").inner_text()
    lines = page.locator("#chain .back .line").all()
    thick = "e => parseFloat(getComputedStyle(e, '::before').height)"
    heights = [line.evaluate(thick) for line in lines]
    assert heights == sorted(heights)
    assert heights[-1] > heights[0] + 2


# Learning


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


# The story


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


# Networks with branches

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


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_a_network_with_branches_is_drawn_as_a_graph(layers, show):
    net = cr.Sequential(*layers, seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3))
    outputs = net.predict(x)
    several = isinstance(outputs, tuple)
    loss = cr.MultiLoss(*[cr.MSELoss()] * len(outputs)) if several else cr.MSELoss()
    y = tuple(out + 1 for out in outputs) if several else outputs + 1
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
    for hidden in ("#product", "#cancel", "#why", "#neurons", "#in-numbers"):
        assert not page.locator(hidden).is_visible()
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


# Networks that are too large to run in the page


@pytest.fixture(name="precomputed")
def precomputed_fixture(monkeypatch):
    monkeypatch.setattr(page_network, "MOST_BYTES", 0)


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


# Everyone


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


def use_everything(page):
    for button in page.locator("#product button").all():
        button.click()
    for summary in page.locator("summary").all():
        summary.click()
    cancel_to_the_end(page)


def lightness(page, what):
    colour = page.evaluate(f"getComputedStyle(document.body).{what}")
    return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(",")))


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
