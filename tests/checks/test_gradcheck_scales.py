"""gradcheck and gradgradcheck at all scales: right is never wrong, and wrong is never silent."""

import math
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.checks.differences import sizes

SCALES = [1e-12, 1e-7, 1e-4, 1.0, 1e4, 1e12]
MATRIX = np.random.default_rng(1).normal(size=(6, 6))

# Each with its gradient and its Hessian times a vector.
FUNCTIONS = {
    "square": (lambda x: (x**2).sum(), lambda x: 2 * x, lambda x, v: 2 * v),
    "cube": (lambda x: (x**3).sum(), lambda x: 3 * x**2, lambda x, v: 6 * x * v),
    "log": (lambda x: np.log(np.abs(x)).sum(), lambda x: 1 / x, lambda x, v: -v / x**2),
    "sin": (lambda x: np.sin(x).sum(), np.cos, lambda x, v: -np.sin(x) * v),
    "quadratic form": (
        lambda x: x @ MATRIX @ x / 2,
        lambda x: (MATRIX + MATRIX.T) @ x / 2,
        lambda x, v: (MATRIX + MATRIX.T) @ v / 2,
    ),
    "norm": (
        lambda x: np.sqrt(x @ x),
        lambda x: x / np.sqrt(x @ x),
        lambda x, v: (v - x * (x @ v) / (x @ x)) / np.sqrt(x @ x),
    ),
}

each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_scale = pytest.mark.parametrize("scale", SCALES)


def report_of(check, *arguments):
    try:
        return check(*arguments)
    except cr.GradientMismatch as mismatch:
        return mismatch.report


def points(scale):
    return scale * np.random.default_rng(0).normal(size=6)


def one_sign_wrong(array):
    signs = np.ones(array.shape)
    signs.flat[int(np.argmax(abs(array)))] = -1
    return signs * array


@each_scale
@each_function
@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_functions(name, scale, factor):
    f, gradient, _ = FUNCTIONS[name]
    x = points(scale)
    right = report_of(cr.gradcheck, lambda x: factor * f(x), lambda x: factor * gradient(x), x)
    assert right.passed
    assert right.parameters[0].checked == x.size
    assert right.parameters[0].detectable < 1e-2
    for wrong in (np.negative, one_sign_wrong, np.zeros_like):
        report = report_of(
            cr.gradcheck, lambda x: factor * f(x), lambda x, w=wrong: w(factor * gradient(x)), x
        )
        assert not report.passed


@each_scale
@each_function
@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_second_derivatives_of_functions(name, scale, factor):
    _, gradient, product = FUNCTIONS[name]
    x = points(scale)

    def check(change):
        return report_of(
            cr.gradgradcheck,
            lambda x: factor * gradient(x),
            lambda x, v: change(factor * product(x, v)),
            x,
        )

    right = check(np.positive)
    assert right.passed
    assert right.parameters[0].kinks == 0
    assert not check(np.negative).passed
    wrong = check(one_sign_wrong)
    # Those of sin near 0 are small beside its slope of 1.
    assert not wrong.passed or wrong.parameters[0].hidden
    if name != "sin" or scale >= 1e-4:
        assert not wrong.passed
        assert not check(np.zeros_like).passed


def test_an_own_linear_map_at_a_large_scale():
    for scale in (1e4, 1e8, 1e12):
        x = points(scale)
        report = cr.gradgradcheck(
            lambda x: MATRIX.T @ MATRIX @ x, lambda _, v: MATRIX.T @ MATRIX @ v, x
        )
        assert report.parameters[0].checked == 6


@pytest.mark.once
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("y_scale", [1e-12, 1.0, 1e10])
@pytest.mark.parametrize(
    ("loss", "activation"), [(cr.MSELoss(), cr.ReLU()), (cr.HuberLoss(), cr.Tanh())], ids=repr
)
def test_networks(monkeypatch, loss, activation, scale, y_scale):
    net = cr.Sequential(cr.Linear(2, 3), activation, cr.Linear(3, 1), seed=0)
    rng = np.random.default_rng(2)
    x, y = scale * rng.normal(size=(4, 2)), y_scale * rng.uniform(0.5, 1, (4, 1))
    right = report_of(cr.gradcheck, net, loss, x, y)
    assert right.passed
    backward = cr.Sequential.backward
    for parameter in right.parameters:
        name = parameter.name

        def wrong(self, d_out, name=name):
            dx = backward(self, d_out)
            if name == "x":
                return -dx
            self.gradients()[name][...] *= -1
            return dx

        if parameter.analytic == 0 or name == "output":
            continue  # saturated, and there is no sign
        monkeypatch.setattr(cr.Sequential, "backward", wrong)
        assert not report_of(cr.gradcheck, net, loss, x, y).passed
        monkeypatch.undo()


@pytest.mark.parametrize("y_scale", [1e-12, 1e12])
@pytest.mark.parametrize("loss_class", [cr.MSELoss, cr.HuberLoss])
def test_a_loss_with_a_wrong_gradient_is_found_in_the_output(monkeypatch, loss_class, y_scale):
    net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(5, 3)), y_scale * rng.normal(size=(5, 2))
    right = loss_class.__call__

    def wrong(self, *arguments):
        value, d_output = right(self, *arguments)
        return value, -d_output

    monkeypatch.setattr(loss_class, "__call__", wrong)
    report = report_of(cr.gradcheck, net, loss_class(), x, y)
    assert [p.name for p in report.parameters if p.error > report.tolerance] == ["output"]


# Nothing checked is no pass.


def test_all_entries_at_kinks_is_no_pass():
    with pytest.raises(cr.GradientMismatch, match="nothing of x could be checked") as caught:
        cr.gradcheck(lambda x: np.abs(x).sum(), np.ones_like, np.zeros((3, 4)))
    (parameter,) = caught.value.report.parameters
    assert (parameter.checked, parameter.kinks, parameter.hidden) == (0, 12, 0)
    assert np.isnan(parameter.error)
    assert "0/12    12      0        -          -  none was compared" in str(caught.value)


def test_all_entries_at_jumps_of_the_gradient_is_no_pass():
    with pytest.raises(cr.GradientMismatch, match="nothing of x could be checked"):
        cr.gradgradcheck(np.sign, lambda x, v: 0 * v, np.zeros(4))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_change_that_rounding_hides_is_no_pass(sign):
    with pytest.raises(cr.GradientMismatch, match="nothing of x could be checked") as caught:
        cr.gradcheck(lambda x: 1e20 + np.sin(x).sum(), lambda x: sign * np.cos(x), [0.3, 0.5])
    assert caught.value.report.parameters[0].hidden == 2


def test_no_entries_is_no_pass():
    with pytest.raises(cr.GradientMismatch, match="nothing of x could be checked"):
        cr.gradcheck(lambda x: 0.0, lambda x: x, np.empty(0))


def test_a_parameter_at_kinks_only_is_named():
    net = cr.Sequential(cr.Linear(3, 4, bias=False), cr.ReLU(), cr.Linear(4, 2), seed=0)
    net.parameters()["0.weight"][...] = 0
    with pytest.raises(cr.GradientMismatch, match=r"nothing of 0\.weight could be checked"):
        cr.gradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.ones((5, 2)))


# How small an error could have been seen.


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
def test_errors_are_seen_from_where_the_report_says(offset):
    def check(relative):
        return report_of(
            cr.gradcheck,
            lambda x: offset + np.sin(x).sum(),
            lambda x: np.cos(x) * (1 + relative),
            x,
        )

    x = np.array([0.3, 0.5])
    detectable = check(0.0).parameters[0].detectable
    for sign in (-1, 1):
        assert not check(sign * 1.01 * detectable).passed
    assert check(1e-3 * detectable).passed


def test_less_can_be_seen_of_a_larger_value():
    found = [
        cr.gradcheck(lambda x, c=c: c + np.sin(x).sum(), np.cos, [0.3]).parameters[0].detectable
        for c in (0.0, 1e6, 1e12)
    ]
    assert all(one < other for one, other in pairwise(found))
    assert found[0] < 2e-6
    assert found[-1] > 1e-4


def test_where_a_gradient_is_zero_there_is_nothing_to_compare_an_error_with():
    report = cr.gradcheck(lambda x: 3.0, np.zeros_like, [1.0, 2.0])
    assert (report.parameters[0].checked, report.parameters[0].detectable) == (2, np.inf)
    assert str(report).endswith(
        "The gradient by x is 0 at all entries, and so are the differences. Other data shows more."
    )


@pytest.mark.parametrize("bias", [True, False])
def test_images_that_are_all_black(bias):
    """Without a bias, all ReLUs are at their kink: no derivative, but no error either."""
    convolution = cr.Conv2d(1, 2, 3, bias=bias, bias_init=cr.initializers.Constant(-0.1))
    net = cr.Sequential(convolution, cr.ReLU(), cr.Flatten(), cr.Linear(18, 3), seed=0)
    black, y = np.zeros((4, 5, 5, 1)), [0, 1, 2, 0]
    report = report_of(cr.gradcheck, net, cr.CrossEntropyLoss(), black, y)
    assert report.passed == bias
    zero = "x, 0.weight, 0.bias, 3.weight" if bias else "0.weight, 3.weight"
    assert f"The gradient by {zero} is 0 at all entries" in str(report)
    if not bias:
        assert str(report).startswith(
            "Gradient check INCOMPLETE: no error was found, but nothing of x could be checked.\n"
            "There are kinks at all entries of x, such as that of ReLU at 0"
        )
    assert report.error <= report.tolerance
    grey = black + np.random.default_rng(0).normal(0, 0.01, black.shape)
    assert cr.gradcheck(net, cr.CrossEntropyLoss(), grey, y).passed


def test_small_entries_beside_large_ones_are_counted_as_hidden():
    for sign in (1, -1):
        report = report_of(
            cr.gradcheck,
            lambda x: x[0] + 1e-15 * x[1],
            lambda x, s=sign: [1.0, s * 1e-15],
            [0.1, 0.1],
        )
        assert (report.parameters[0].checked, report.parameters[0].hidden) == (1, 1)


def test_functions_that_end_near_the_point():
    def inverse_sine(x):
        return float(np.arcsin(x).sum())

    def logarithm(x):
        return sum(map(math.log, x))  # raises ValueError below 0

    assert cr.gradcheck(inverse_sine, lambda x: 1 / np.sqrt(1 - x**2), [0.9999, -0.99]).passed
    assert cr.gradcheck(logarithm, lambda x: 1 / x, [1e-4, 1.0, 1e-9]).passed


# Why nothing could be checked, and what helps.


def saturated(x):
    """Return a network whose slope at a large x is hidden beside its value, and a batch."""
    net = cr.Sequential(cr.Linear(1, 1, bias=False), cr.Tanh())
    net.params[:] = 1
    return net, cr.MSELoss(), [[x]], [[0.0]]


NOTHING = {
    "a value that is far larger": (
        lambda: cr.gradcheck(lambda x: 1e20 + np.sin(x).sum(), np.cos, [0.3, 0.5]),
        "Rounding hides the gradient by x",
    ),
    "a gradient that is far larger": (
        lambda: cr.gradgradcheck(lambda x: 1e20 + np.cos(x), lambda x, v: -np.sin(x) * v, [0.3]),
        "Rounding hides the second derivative by x",
    ),
    "kinks": (
        lambda: cr.gradcheck(lambda x: np.abs(x).sum(), np.ones_like, np.zeros(3)),
        "There are kinks at all entries of x",
    ),
    "jumps": (
        lambda: cr.gradgradcheck(np.sign, lambda x, v: 0 * v, np.zeros(4)),
        "There are kinks at all entries of x",
    ),
    "no entries": (lambda: cr.gradcheck(lambda x: 0.0, np.copy, []), "There are no entries"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_check_of_nothing_says_why(name):
    check, reason = NOTHING[name]
    with pytest.raises(cr.GradientMismatch) as caught:
        check()
    _, second, *_ = str(caught.value).splitlines()
    assert second.startswith(reason)


def test_what_the_message_advises_helps():
    with pytest.raises(cr.GradientMismatch) as caught:
        cr.gradcheck(*saturated(18.0))
    assert "Rounding hides the gradient by x, 0.weight:" in str(caught.value)
    assert "for which no activation is saturated" in str(caught.value)
    assert cr.gradcheck(*saturated(1.0)).passed


# The steps.


def steps_taken(x, slope):
    """Return how far from x, a number, a check of the identity goes."""
    distances = set()

    def identity(point):
        distances.add(float(point) - x)
        return float(point)

    report_of(cr.gradcheck, identity, lambda point: slope, x)
    return sorted(distances)


@pytest.mark.parametrize("slope", [1.0, 1.01], ids=["right", "wrong"])
def test_steps_scale_with_the_value_and_are_those_of_1_where_it_is_0(slope):
    at_one = steps_taken(1.0, slope)
    assert len(at_one) > 2
    assert steps_taken(0.0, slope) == at_one
    for power in (-40, -3, 40):
        scale = 2.0**power
        assert steps_taken(scale, slope) == [scale * step for step in at_one]


@pytest.mark.parametrize("power", [-40, 0, 40])
def test_the_size_of_an_entry_is_its_own_or_a_thousandth_of_the_largest(power):
    array = 2.0**power * np.random.default_rng(0).normal(size=50) ** 9
    array[:2] = 0
    least = np.maximum(abs(array), 1e-3 * abs(array).max())
    found = sizes(array)
    assert ((least <= found) & (found < 2 * least)).all()
    assert (np.frexp(found)[0] == 0.5).all()  # powers of two, so that steps are exact
    assert (sizes(0 * array) == 1).all()
