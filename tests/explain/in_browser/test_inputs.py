"""Inputs as what they are: images as pictures, a table's columns by their names."""

import numpy as np
import pytest
from in_page import IN_MATRICES, SHOWN, cells, choose, number

import chainrule as cr

pytestmark = pytest.mark.once

READ = """(canvas) => {
    const { width, height } = canvas;
    return [...canvas.getContext("2d").getImageData(0, 0, width, height).data];
}"""


def images(shape=()):
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (3, 80)) * (rng.uniform(size=(3, 80)) > 0.3)
    layers = [cr.Linear(80, 5), cr.Tanh(), cr.Linear(5, 3)]
    if len(shape) > 1:
        layers.insert(0, cr.Flatten())
    net = cr.Sequential(*layers, seed=0)
    return cr.explain(net, cr.CrossEntropyLoss(), x.reshape(3, *shape), [0, 1, 2])


@pytest.mark.parametrize("shape", [(8, 10), (1, 8, 10), (8, 10, 1)])
@pytest.mark.parametrize("is_precomputed", [False, True])
def test_an_image_is_a_picture(shape, is_precomputed, show, request):
    if is_precomputed:
        request.getfixturevalue("precomputed")
    chain = images(shape)
    page = show(chain)
    page.get_by_label("Row of the batch").select_option("2")
    picture, slopes = page.locator("#picture"), page.locator("#picture-slopes")
    pixels = np.reshape(picture.evaluate(READ), (8, 10, 4))[..., 3]  # what is not 0 is opaque
    x = chain.x[2].reshape(8, 10)
    np.testing.assert_allclose(pixels / 255, x / x.max(), atol=0.01)
    colours = np.reshape(slopes.evaluate(READ), (8, 10, 4)).astype(int)
    gradient = chain.gradients["x"][2].reshape(8, 10)
    seen = np.abs(gradient) > 0.1 * np.abs(gradient).max()
    is_orange = colours[..., 0] > colours[..., 2]
    np.testing.assert_array_equal(is_orange[seen], gradient[seen] > 0)
    assert "from 0 to" in picture.get_attribute("aria-label")


def test_pictures_that_are_too_large_are_left_out(precomputed, show, tmp_path):
    net = cr.Sequential(cr.Flatten(), cr.Linear(40_000, 2), seed=0)
    page = show(cr.explain(net, cr.MSELoss(), np.ones((2, 1, 200, 200)), np.zeros((2, 2))))
    assert not page.locator("#pictures").is_visible()
    assert (tmp_path / "chain.html").stat().st_size < 1_000_000


def test_a_pixel_is_chosen_by_a_click(show):
    chain = images((8, 10))
    page = show(chain)
    page.get_by_label("Row of the batch").select_option("1")
    box = page.locator("#picture-slopes").bounding_box()
    page.locator("#picture-slopes").click(
        position={"x": box["width"] * 7.5 / 10, "y": box["height"] * 3.5 / 8}
    )
    assert page.locator("#turn-name").inner_text() == "X[1, 37]"
    slope = number(page.locator("#turn-slope").inner_text().split(" = ")[1].split(",")[0])
    assert slope == pytest.approx(chain.gradients["x"][1, 37], rel=SHOWN)


class Table:
    """Columns with names, as a DataFrame."""

    columns = ("area", "town=<Bonn>", "age")

    def __array__(self, dtype=None, copy=None):
        return np.random.default_rng(0).normal(size=(4, 3))


def test_columns_are_called_by_their_names(show):
    x, y = Table(), np.ones((4, 1))
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 1), seed=0)
    chain = cr.explain(net, cr.MSELoss(), x, y)
    assert chain.feature_names == Table.columns
    page = show(chain)
    assert not page.locator("#pictures").is_visible()
    choose(page, "X")
    assert page.locator("#numbers small").all_inner_texts() == list(Table.columns)
    page.locator("#numbers button").nth(1).click()
    assert page.locator("#turn-name").inner_text() == "X[0, town=<Bonn>]"
    assert page.locator("#neurons-paths li").first.inner_text().startswith("X[0, town=<Bonn>] → ")
    page.get_by_role("button", name="∂H/∂X, its numbers").click()
    table = page.locator("#opened table")
    assert table.locator("th[scope=col]").all_inner_texts() == list(Table.columns)
    np.testing.assert_allclose(cells(table), chain.path("x").factors[-1].value[0], rtol=IN_MATRICES)
    page.locator("#matrices .term").last.locator("button").nth(2).hover()
    assert page.locator("#sum").inner_text().startswith("∂L/∂X[age] = ")
    in_figure = page.locator("#neurons-plot text").all_text_contents()
    assert "area" in in_figure


def test_names_of_features_are_checked():
    net = cr.Sequential(cr.Linear(2, 1), seed=0)

    def explain(names, x=((1.0, 2.0),)):
        return cr.explain(net, cr.MSELoss(), x, [[1.0]], feature_names=names)

    assert explain(iter(["a", "b"])).feature_names == ("a", "b")
    assert explain(None).feature_names is None
    with pytest.raises(ValueError, match="feature_names must be 2, one for each column, not 1"):
        explain(["a"])
    for wrong in ("ab", [1, 2], 3):
        with pytest.raises(TypeError, match="feature_names must be strings"):
            explain(wrong)
