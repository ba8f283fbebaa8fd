"""Networks with several inputs, explained: all inputs are one, their columns side by side."""

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.once

LOSS = cr.MSELoss()


def network(dtype="float64", **options):
    image = cr.Sequential(cr.Rescale(0.5), cr.Flatten(), cr.Linear(6, 3), cr.Tanh(), seed=1)
    parts = image, cr.Linear(2, 3)
    return cr.Sequential(
        cr.Inputs(*parts, **options), cr.Linear(3 if options else 6, 2), seed=0, dtype=dtype
    )


def batch(rows=4):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(rows, 2, 3)), rng.normal(size=(rows, 2))), rng.normal(size=(rows, 2))


def joined(arrays):
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


@pytest.mark.parametrize("options", [{}, {"combine": "sum"}, {"combine": "product"}], ids=str)
@pytest.mark.parametrize("merge", [True, False])
def test_all_products_are_the_gradients(options, merge):
    net, (x, y) = network(**options), batch()
    chain = cr.explain(net, LOSS, x, y, merge=merge)
    _, (by_params, by_x) = cr.value_and_grad(net, LOSS, ("params", "x"))(net.params, x, y)
    np.testing.assert_allclose(chain.gradients["x"], joined(by_x))
    np.testing.assert_array_equal(chain.x, joined(x))
    for name, gradient in net.views(by_params).items():
        path = chain.path(name)
        np.testing.assert_allclose(path.gradient, gradient, rtol=1e-12)
        assert chain.compress(name).explicit
        np.testing.assert_allclose(path.product(), gradient, rtol=1e-9, atol=1e-14)


def test_it_is_shown_as_one_input():
    net, (x, y) = network(), batch()
    chain = cr.explain(net, LOSS, x, y, feature_names=list("abcdefgh"))
    layers = str(chain).split("\n\n")[-1].splitlines()
    assert layers[1] == "H₃ = Inputs(..., combine='concatenate') of H₁, H₂"
    assert layers[2] == "H₂ = x[1], Linear(2, 3) of X"
    assert chain.feature_names == tuple("abcdefgh")
    assert chain.picture is None
    assert "the sum over" in str(chain.trace("W2", (1, 2)))
    assert str(chain.influence())
    with pytest.raises(ValueError, match="order is for networks that are a chain"):
        chain.order()


def test_nudges():
    net, (x, y) = network(), batch()
    chain = cr.explain(net, LOSS, x, y)
    found = cr.nudge(net, LOSS, x, y, "x", (2, 6), 1e-3)
    assert found.slope == pytest.approx(chain.gradients["x"][2, 6])
    assert found.actual == pytest.approx(found.predicted_to_second_order, rel=1e-5)
    assert cr.nudge(net, LOSS, x, y, "W2", (0, 1), 1e-3).name == "0.1.weight"
    assert cr.nudge(net, LOSS, x, y, "H1", None, 1e-3).symbol == "H1"


def test_gradient_flow():
    net, (x, y) = network("float32"), batch(20)
    options = {"loss": LOSS, "epochs": 2, "progress": False}
    history = cr.fit(net, x, y, callbacks=[cr.GradientFlow(every=1, rows=20)], **options)
    flow = history.gradient_flow
    assert flow.links == ("X", "H1", "H2", "H3", "O")
    start = network("float32")
    assert flow.forward[0, 0] == pytest.approx(np.sqrt(np.mean(joined(x) ** 2)))
    influence = cr.explain(start, LOSS, x, y).influence()
    expected = [link.backward for link in influence.links]
    np.testing.assert_allclose(flow.backward[0], expected, rtol=1e-4)


def test_pages(tmp_path):
    net, (x, y) = network(), batch()
    cr.explain(net, LOSS, x, y).to_html(tmp_path / "page.html")
    inputs = cr.Inputs(cr.Linear(400, 300), cr.Linear(3, 4))
    large = cr.Sequential(inputs, cr.Linear(304, 2), seed=0)
    x = np.ones((1, 400)), np.ones((1, 3))
    cr.explain(large, LOSS, x, [[0.0, 1.0]], max_elements=100).to_html(tmp_path / "large.html")
    assert "x[1]" in (tmp_path / "page.html").read_text("utf-8")
    assert "x[1]" in (tmp_path / "large.html").read_text("utf-8")


def test_codes_stay_codes():
    table = cr.Sequential(cr.Embedding(5, 3), cr.Flatten(), seed=1)
    net = cr.Sequential(cr.Inputs(cr.Linear(2, 3), table), cr.Linear(6, 1), seed=0)
    x, y = (np.ones((3, 2)), np.array([[0], [4], [2]])), np.zeros((3, 1))
    chain = cr.explain(net, LOSS, x, y)
    assert chain.network.takes_codes
    assert (chain.gradients["x"][:, 2] == 0).all()
    with pytest.raises(ValueError, match=r"x\[1\] has the code 5 at row 1, column 0"):
        cr.explain(net, LOSS, (x[0], x[1] + 1), y)
    with pytest.raises(ValueError, match="x holds codes"):
        cr.nudge(net, LOSS, x, y, "x", (0, 0), 0.1)


def test_a_frozen_network_stays_so():
    net, (x, y) = network(), batch()
    net.freeze("1.*")
    chain = cr.explain(net, LOSS, x, y)
    assert chain.network.frozen == net.frozen
    assert (net.predict(x) == chain.network.predict(chain.x)).all()
