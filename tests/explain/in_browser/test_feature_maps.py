"""Images inside a network: what each channel holds, and the loss's gradient by it."""

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

READ = """(canvas) => {
    const { width, height } = canvas;
    return [...canvas.getContext("2d").getImageData(0, 0, width, height).data];
}"""


def chain_of_images():
    rng = np.random.default_rng(0)
    net = cr.Sequential(
        cr.Linear(2, 3), cr.Tanh(), cr.Flatten(), cr.Linear(60, 3), seed=0, dtype="float64"
    )
    x = rng.normal(size=(2, 4, 5, 2))
    return cr.explain(net, cr.CrossEntropyLoss(), x, [0, 2], merge=False)


def test_values_and_gradients_are_pictures(show):
    chain = chain_of_images()
    page = show(chain)
    page.get_by_label("Row of the batch").select_option("1")
    figures = page.locator("#maps figure.maps")
    assert figures.count() == 2 * 3  # the input, the linear layer, and tanh
    for (i, link), channels in zip(enumerate(chain.links[:3]), (2, 3, 3), strict=True):
        for j, numbers in enumerate((link.value, link.gradient)):
            maps = numbers[1].reshape(4, 5, channels)
            canvases = figures.nth(2 * i + j).locator("canvas")
            assert canvases.count() == channels
            for c in range(channels):
                seen = np.reshape(canvases.nth(c).evaluate(READ), (4, 5, 4)).astype(int)
                np.testing.assert_allclose(
                    seen[..., 3] / 255, np.abs(maps[..., c]) / np.abs(maps).max(), atol=0.01
                )
                clear = np.abs(maps[..., c]) > 0.1 * np.abs(maps).max()
                is_orange = seen[..., 0] > seen[..., 2]
                np.testing.assert_array_equal(is_orange[clear], maps[..., c][clear] > 0)


def test_a_table_has_no_feature_maps(chain, show):
    assert not show(chain).locator("#maps").is_visible()
