"""nudge: the gradient's prediction against what the loss really does."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain.nudge import Ray

pytestmark = pytest.mark.once


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def case():
    net = cr.Sequential(
        cr.Linear(3, 4, name="H"), cr.Tanh(), cr.Linear(4, 2), seed=0, dtype="float64"
    )
    return net, cr.MSELoss(), batch((5, 3)), batch((5, 2), 1)


def real_loss(net, loss, x, y):
    return loss(net.forward(x), y)[0]


@pytest.mark.parametrize(("name", "index"), [("W1", (2, 3)), ("H.bias", 1), ("2.weight", None)])
def test_what_really_happens(case, name, index):
    net, loss, x, y = case
    before, params = real_loss(*case), net.params.copy()
    result = cr.nudge(*case, name, index, 0.01)
    np.testing.assert_array_equal(net.params, params)
    _, d_output = loss(net.forward(x), y)
    net.backward(d_output)
    gradient = net.gradients()[result.name]
    parameter = net.parameters()[result.name]
    if index is None:
        assert result.slope == pytest.approx(np.linalg.norm(gradient))
        parameter += 0.01 * gradient / np.linalg.norm(gradient)
    else:
        assert result.slope == pytest.approx(gradient[index])
        parameter[index] += 0.01
    assert result.loss == pytest.approx(before)
    assert result.actual == pytest.approx(real_loss(net, loss, x, y) - before, rel=1e-9)


@pytest.mark.parametrize("name", ["W1", "b1", "x"])
def test_gaps_shrink_with_the_second_and_the_third_power(case, name):
    gaps = []
    for delta in (1e-2, 1e-3):
        result = cr.nudge(*case, name, None, delta)
        gaps.append(
            (
                abs(result.actual - result.predicted),
                abs(result.actual - result.predicted_to_second_order),
            )
        )
    (first, second), (smaller_first, smaller_second) = gaps
    assert first / smaller_first == pytest.approx(100, rel=0.1)
    assert second / smaller_second > 300


def test_an_input_can_be_nudged(case):
    result = cr.nudge(*case, "x", (0, 2), -0.05)
    assert (result.symbol, result.name) == ("X", "x")
    assert abs(result.actual - result.predicted_to_second_order) < 1e-3 * abs(result.actual)


def test_one_ray_serves_all_entries(case):
    ray = Ray(*case, "W1", (0, 0))
    for index in ((2, 3), (0, 1)):
        ray.point_at(index)
        for delta in (0.3, 0.0, -0.1):
            fresh = Ray(*case, "W1", index).loss_and_slope(delta)
            assert ray.loss(delta) == pytest.approx(fresh[0], rel=1e-12)
            assert ray.loss_and_slope(delta) == pytest.approx(fresh, rel=1e-12)


def test_bad_input_is_named(case):
    with pytest.raises(ValueError, match="delta must not be 0"):
        cr.nudge(*case, "W1", (0, 0), 0.0)
    with pytest.raises(ValueError, match="delta must be finite"):
        cr.nudge(*case, "W1", (0, 0), float("nan"))
    with pytest.raises(IndexError, match=r"from \(0, 0\) to \(2, 3\), for W1 of shape"):
        cr.nudge(*case, "W1", (3, 0), 0.1)
    with pytest.raises(IndexError, match="not 1"):
        cr.nudge(*case, "W1", 1, 0.1)
    with pytest.raises(ValueError, match="no parameter 'W9'"):
        cr.nudge(*case, "W9", (0, 0), 0.1)
    net, loss, x, y = case
    net.params[:] = 0
    with pytest.raises(ValueError, match=r"gradient of 0\.weight is 0"):
        cr.nudge(net, loss, x, y, "W1", None, 0.1)


def test_codes_cannot_be_nudged_but_their_vectors_can():
    net = cr.Sequential(cr.Embedding(5, 3), cr.Flatten(), cr.Linear(6, 1), seed=0)
    case = net, cr.MSELoss(), [[4, 0], [0, 3]], [0.0, 1.0]
    with pytest.raises(ValueError, match="x holds codes"):
        cr.nudge(*case, "x", (0, 0), 1.0)
    result = cr.nudge(*case, "0.weight", (4, 1), 0.01)
    assert result.actual == pytest.approx(result.predicted_to_second_order)


def test_text(case):
    text = str(cr.nudge(*case, "W1", (0, 0), 0.1))
    assert "changes by 0.1" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "along its gradient" in str(cr.nudge(*case, "W1", None, 0.1))


def test_what_is_no_entry_and_no_number(case):
    with pytest.raises(IndexError, match="not True"):
        cr.nudge(*case, "b1", True, 0.1)
    with pytest.raises(TypeError, match=r"delta must be a number, not '0\.1'"):
        cr.nudge(*case, "b1", 0, "0.1")
    with pytest.raises(TypeError, match="net must be a Sequential"):
        cr.nudge(None, *case[1:], "b1", 0, 0.1)
    with pytest.raises(TypeError, match="loss must be a loss"):
        cr.nudge(case[0], None, *case[2:], "b1", 0, 0.1)


@pytest.mark.parametrize("name", ["H", "0"])
def test_a_whole_layer_along_its_gradient(case, name):
    net, loss, x, y = case
    before = real_loss(*case)
    result = cr.nudge(*case, name, None, -0.01)
    _, d_output = loss(net.forward(x), y)
    net.backward(d_output)
    gradients = {key: net.gradients()[key].copy() for key in ("0.weight", "0.bias")}
    length = np.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
    assert result.slope == pytest.approx(length)
    for key, gradient in gradients.items():
        net.parameters()[key][...] -= 0.01 * gradient / length
    assert result.actual == pytest.approx(real_loss(net, loss, x, y) - before, rel=1e-9)
    assert f"{name} moves by -0.01 along its gradient" in str(result)
    with pytest.raises(ValueError, match="no parameter 'H'"):
        cr.nudge(*case, "H", (0, 0), 0.1)
