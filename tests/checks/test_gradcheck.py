"""gradcheck: it finds what is wrong, and only that."""

import numpy as np
import pytest

import chainrule as cr


def network(**options):
    return cr.Sequential(
        cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0, **{"dtype": "float64"} | options
    )


X = np.random.default_rng(0).normal(size=(5, 3))
Y = np.random.default_rng(1).normal(size=(5, 2))


def spoil(monkeypatch, name, change):
    """Let every network's backward change the gradient ``name`` by ``change``."""
    backward = cr.Sequential.backward

    def wrong(self, d_out):
        dx = backward(self, d_out)
        if name == "x":
            return change(dx)
        view = self.gradients()[name]
        view[...] = change(view)
        return dx

    monkeypatch.setattr(cr.Sequential, "backward", wrong)


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.0001, 2.0])
@pytest.mark.parametrize("name", ["x", "0.weight", "0.bias", "2.weight", "2.bias"])
def test_wrong_gradient_is_found_and_named(monkeypatch, name, factor):
    spoil(monkeypatch, name, lambda gradient: factor * gradient)
    with pytest.raises(cr.GradientMismatch) as caught:
        cr.gradcheck(network(), cr.MSELoss(), X, Y)
    report = caught.value.report
    assert [p.name for p in report.parameters if p.error > report.tolerance] == [name]
    assert not report.passed
    marked = [line.split()[0] for line in str(report).splitlines() if "<-- wrong" in line]
    assert marked == [name]


def test_one_wrong_entry_is_found(monkeypatch):
    def change(gradient):
        gradient = gradient.copy()
        gradient[2, 1] += 1e-3
        return gradient

    spoil(monkeypatch, "2.weight", change)
    with pytest.raises(cr.GradientMismatch, match=r"2\.weight .* \[2, 1\] .*<-- wrong") as caught:
        cr.gradcheck(network(), cr.MSELoss(), X, Y)
    worst = next(p for p in caught.value.report.parameters if p.name == "2.weight")
    assert worst.index == (2, 1)
    assert worst.analytic - worst.numeric == pytest.approx(1e-3, rel=1e-3)


def test_nan_is_a_mismatch(monkeypatch):
    spoil(monkeypatch, "0.bias", lambda gradient: gradient * np.nan)
    with pytest.raises(cr.GradientMismatch, match="worst relative error nan"):
        cr.gradcheck(network(), cr.MSELoss(), X, Y)


def test_nan_is_marked(monkeypatch):
    spoil(monkeypatch, "0.bias", lambda gradient: gradient * np.nan)
    with pytest.raises(cr.GradientMismatch, match=r"0\.bias .*gradient nan, .*<-- wrong"):
        cr.gradcheck(network(), cr.MSELoss(), X, Y)


def test_right_gradients_pass_and_the_report_says_what_was_checked():
    report = cr.gradcheck(network(), cr.MSELoss(), X, Y)
    assert report.passed
    assert 0 < report.error < 1e-7
    assert {p.name: (p.shape, p.checked, p.kinks) for p in report.parameters} == {
        "x": ((5, 3), 15, 0),
        "0.weight": ((3, 4), 12, 0),
        "0.bias": ((4,), 4, 0),
        "2.weight": ((4, 2), 8, 0),
        "2.bias": ((2,), 2, 0),
        "output": ((5, 2), 10, 0),
    }
    assert str(report).startswith("Gradient check passed: worst relative error")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_is_left_alone(dtype):
    net = network(dtype=dtype)
    out = net.forward(X)
    net.grads[:] = 3
    params = net.params.copy()
    assert cr.gradcheck(net, cr.MSELoss(), X, Y).error < 1e-7  # so it was computed in float64
    assert np.array_equal(net.params, params)
    assert (net.grads == 3).all()
    net.backward(out)  # the forward before still counts


def test_large_networks_are_checked_in_part_the_same_for_the_same_seed():
    net = cr.Sequential(cr.Linear(30, 60), cr.Tanh(), cr.Linear(60, 10), seed=0)
    x, y = np.ones((4, 30)), np.zeros((4, 10))
    a, b, other = (cr.gradcheck(net, cr.MSELoss(), x, y, seed=seed) for seed in (1, 1, 2))
    assert {p.name: p.checked for p in a.parameters} == {
        "x": 50,
        "0.weight": 50,
        "0.bias": 50,
        "2.weight": 50,
        "2.bias": 10,
        "output": 40,
    }
    assert a == b
    assert a != other


def test_small_gradients_beside_large_ones_are_no_false_alarm():
    net = network()
    net.parameters()["0.weight"][:, 1] *= 1e-9
    net.parameters()["2.weight"][1] = 1e-9
    x = X.copy()
    x[0] *= 1e4
    assert cr.gradcheck(net, cr.MSELoss(), x, 1e3 * Y).passed


def test_trained_to_the_end_where_all_gradients_are_rounding():
    net = network()
    for _ in range(30):
        cr.fit(net, X[:2], Y[:2], loss=cr.MSELoss(), epochs=100, batch_size=2, progress=False)
    assert cr.gradcheck(net, cr.MSELoss(), X[:2], Y[:2]).passed


@pytest.mark.parametrize(("off", "passes"), [(5e-10, True), (2e-9, False)])
def test_small_entries_are_judged_by_a_thousandth_of_the_largest(off, passes):
    def check():
        cr.gradcheck(lambda x: x[0] + 1e-9 * x[1], lambda x: [1.0, 1e-9 + off], [0.1, 0.1])

    if passes:
        check()
    else:
        with pytest.raises(cr.GradientMismatch, match=r"\[1\] gradient .*<-- wrong"):
            check()


def test_rounding_of_a_large_value_is_no_error_and_no_kink():
    report = cr.gradcheck(lambda x: 1e6 + np.sin(x[0]), np.cos, [0.5])
    assert report.parameters[0].kinks == 0


def test_rounding_of_a_large_value_hides_no_larger_error():
    with pytest.raises(cr.GradientMismatch):
        cr.gradcheck(lambda x: 1e6 + np.sin(x[0]), lambda x: np.cos(x) + 1e-3, [0.5])


# Kinks


def relu_at_zero():
    """Return a network whose second hidden unit stands at the kink for every row."""
    net = cr.Sequential(cr.Linear(3, 4), cr.ReLU(), cr.Linear(4, 2), seed=0)
    net.parameters()["0.weight"][:, 1] = 0
    net.parameters()["0.bias"][1] = 0
    return net


def test_kinks_are_counted_and_not_compared():
    report = cr.gradcheck(relu_at_zero(), cr.MSELoss(), X, Y)
    kinks = {p.name: p.kinks for p in report.parameters}
    # Weights of the unit cross zero in one direction or the other, each for some of the rows.
    assert kinks == {"x": 0, "0.weight": 3, "0.bias": 1, "2.weight": 0, "2.bias": 0, "output": 0}
    assert next(p for p in report.parameters if p.name == "0.bias").checked == 3


@pytest.mark.parametrize("wrong", [-10.0, 10.0])
def test_wrong_gradient_at_a_kink_is_found(monkeypatch, wrong):
    def change(gradient):
        gradient = gradient.copy()
        gradient[1] = wrong
        return gradient

    spoil(monkeypatch, "0.bias", change)
    with pytest.raises(cr.GradientMismatch, match=r"0\.bias .*<-- wrong"):
        cr.gradcheck(relu_at_zero(), cr.MSELoss(), X, Y)


def test_a_right_gradient_may_lie_beyond_the_slopes_of_both_sides():
    """2 relu(x) - relu(-x) has the slopes 1 and 2 at 0, but its gradient is 0 with relu'(0) = 0."""
    net = cr.Sequential(cr.Linear(1, 2, bias=False), cr.ReLU(), cr.Linear(2, 1, bias=False))
    net.params = [1.0, -1.0, 2.0, -1.0]
    report = cr.gradcheck(net, cr.MSELoss(), [[0.0], [1.0]], np.ones((2, 1)))
    assert report.parameters[0].kinks == 1

    def function(x):
        return float(2 * max(x[0], 0) - max(-x[0], 0)) + x[1] ** 2

    def gradient(x):
        return np.array([2.0 * (x[0] > 0) + (x[0] < 0), 2 * x[1]])

    assert cr.gradcheck(function, gradient, [0.0, 1.0]).parameters[0].kinks == 1
    with pytest.raises(cr.GradientMismatch, match="<-- wrong"):
        cr.gradcheck(function, lambda x: gradient(x) - [1e-3, 0], [0.0, 1.0])


def test_a_gradient_that_is_wrong_at_one_smooth_point_is_found():
    def gradient(x):
        return np.where(x == 0, 0.5, np.cos(x))

    with pytest.raises(cr.GradientMismatch, match=r"\[0\] gradient 0.5.*<-- wrong"):
        cr.gradcheck(lambda x: float(np.sin(x).sum()), gradient, [0.0, 1.0])


@pytest.mark.once
def test_images_with_a_flat_background_and_max_pooling():
    """All windows of the background are equal, so that each pixel there is at many kinks."""
    x = np.zeros((2, 12, 12, 1))
    x[:, 3:8, 4:7] = np.random.default_rng(0).uniform(size=(2, 5, 3, 1))
    net = cr.Sequential(
        *(cr.Conv2d(1, 3, 3, padding=1), cr.Tanh(), cr.MaxPool2d(2), cr.Flatten()),
        *(cr.Linear(108, 3),),
        seed=0,
    )
    report = cr.gradcheck(net, cr.CrossEntropyLoss(), x, [0, 2])
    assert report.parameters[0].kinks > 50
    assert all(p.checked == np.prod(p.shape) for p in report.parameters[1:-1])


@pytest.mark.parametrize("distance", [0.0, 1e-9, 3e-7, 1e-6, 3e-6, 9e-6])
@pytest.mark.parametrize("jump", [1e-5, 1e-2, 1.0])
def test_kink_anywhere_within_the_step(distance, jump):
    def function(x):
        return float(np.sin(x).sum() + jump * max(0.0, x[0] - 0.5 - distance))

    assert cr.gradcheck(function, np.cos, [0.5, 0.3]).passed
    with pytest.raises(cr.GradientMismatch, match=r"\[0\] gradient .*<-- wrong"):
        cr.gradcheck(function, lambda x: np.cos(x) - [1e-5, 0], [0.5, 0.3])


# Any function


def test_function_of_a_matrix():
    a = np.random.default_rng(2).normal(size=(4, 4))
    report = cr.gradcheck(
        lambda x: np.linalg.slogdet(x)[1], lambda x: np.linalg.inv(x).T, a + 4 * np.eye(4)
    )
    assert (report.parameters[0].name, report.parameters[0].checked) == ("x", 16)


def test_function_of_a_number():
    assert cr.gradcheck(np.sin, np.cos, 0.7).passed
    with pytest.raises(cr.GradientMismatch):
        cr.gradcheck(np.sin, np.sin, 0.7)


def test_function_may_change_its_argument():
    def function(x):
        x *= x
        return x.sum()

    def gradient(x):
        x *= 2
        return x

    point = np.arange(3.0)
    assert cr.gradcheck(function, gradient, point).passed
    assert point.tolist() == [0.0, 1.0, 2.0]


def test_tolerance():
    arguments = (lambda x: (x**2).sum(), lambda x: 2.001 * x, [1.0, 2.0])
    assert cr.gradcheck(*arguments, tolerance=1e-3).error == pytest.approx(5e-4, rel=1e-3)
    with pytest.raises(cr.GradientMismatch):
        cr.gradcheck(*arguments, tolerance=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.gradcheck(network(), cr.MSELoss(), X), TypeError, r"needs y\."),
        (lambda: cr.gradcheck(network(), "mse", X, Y), TypeError, r"needs a loss, not 'mse'\."),
        (
            lambda: cr.gradcheck(lambda x: x * x, lambda x: 2 * x, [1.0, 2.0]),
            TypeError,
            r"The function must return a number, not array\(\[1\., 4\.\]\)",
        ),
        (
            lambda: cr.gradcheck(lambda x: None, lambda x: 2 * x, [1.0, 2.0]),
            TypeError,
            "The function must return a number, not None",
        ),
        (lambda: cr.gradcheck(3, 4, X), TypeError, r"takes \(net, loss, x, y\) or \(function, "),
        (
            lambda: cr.gradcheck(np.sum, lambda x: x[:2], np.ones(3)),
            ValueError,
            r"gradient must have x's shape, \(3,\), but its shape is \(2,\)\.",
        ),
        (
            lambda: cr.gradcheck(np.sum, lambda x: x.T, np.ones((2, 3))),
            ValueError,
            r"gradient must have x's shape, \(2, 3\), but its shape is \(3, 2\)\.",
        ),
        (
            lambda: cr.gradcheck(np.sum, np.ones_like, [np.nan]),
            ValueError,
            r"x must be finite, but x\[0\] is nan",
        ),
        (
            lambda: cr.gradcheck(network(), cr.MSELoss(), X, Y, tolerance=0),
            ValueError,
            r"tolerance must be more than 0, not 0\.",
        ),
        (
            lambda: cr.gradcheck(network(), cr.MSELoss(), X, Y, seed=-1),
            ValueError,
            r"seed must be at least 0",
        ),
        (
            lambda: cr.gradcheck(network(), cr.MSELoss(), X[:, :2], Y),
            ValueError,
            r"expects 3 input features, but x has shape \(n, 2\)\.",
        ),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_network_is_checked_as_it_trains_or_as_it_predicts():
    """By ``net.training``: a layer that is wrong in one of the two is found in that one."""

    class Wrong(cr.NumPyLayer):
        """Has a wrong gradient where its input is not normalized by the batch."""

        def forward(self, x):
            return 2 * x, abs(x.mean(axis=0)).max() < 1e-6

        def backward(self, dy, is_normalized):
            return (2 if is_normalized else 3) * dy, {}

    net = cr.Sequential(cr.Linear(3, 2), cr.BatchNorm(2), Wrong(), seed=0)
    assert cr.gradcheck(net, cr.MSELoss(), X, Y).passed
    net.training = False
    with pytest.raises(cr.GradientMismatch, match="<-- wrong"):
        cr.gradcheck(net, cr.MSELoss(), X, Y)


def test_gradcheck_of_what_is_predicted_agrees_with_derivatives():
    net = cr.Sequential(cr.Linear(3, 4), cr.BatchNorm(4), cr.Dropout(0.5), cr.Linear(4, 2), seed=0)
    loss, one_row = cr.MSELoss(), (X[:1], Y[:1])
    assert cr.gradgradcheck(net, loss, *one_row).passed
    with pytest.raises(ValueError, match="two values of each feature in a training step"):
        cr.gradcheck(net, loss, *one_row)
    net.training = False
    assert cr.gradcheck(net, loss, *one_row).passed
    assert cr.gradgradcheck(net, loss, *one_row).passed
