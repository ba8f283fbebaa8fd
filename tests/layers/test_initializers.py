"""How parameters begin: the distributions' bounds and deviations, seeds, and where they are set."""

from math import sqrt

import numpy as np
import pytest

import chainrule as cr
from chainrule.layers import initializers

SHAPE = FAN_IN, FAN_OUT = 300, 200


def draw(initializer, shape=SHAPE, seed=0):
    return initializer(shape, shape[0], np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("initializer", "bound"),
    [
        (initializers.KaimingUniform(), sqrt(6 / FAN_IN)),
        (initializers.KaimingUniform(a=sqrt(5)), 1 / sqrt(FAN_IN)),
        (initializers.UniformByFanIn(), 1 / sqrt(FAN_IN)),
        (initializers.XavierUniform(), sqrt(6 / (FAN_IN + FAN_OUT))),
        (initializers.XavierUniform(gain=5 / 3), 5 / 3 * sqrt(6 / (FAN_IN + FAN_OUT))),
        (initializers.Uniform(-0.5, 0.5), 0.5),
    ],
    ids=repr,
)
def test_uniform_ones_fill_their_bounds(initializer, bound):
    values = draw(initializer)
    assert values.shape == SHAPE
    assert np.abs(values).max() <= bound
    # 60,000 values: the extremes lie within 0.1 % of the bounds, the deviation within 1 %.
    assert values.max() > 0.999 * bound
    assert values.min() < -0.999 * bound
    assert values.std() == pytest.approx(bound / sqrt(3), rel=0.01)
    assert abs(values.mean()) < 0.02 * bound


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation"),
    [
        (initializers.KaimingNormal(), 0, sqrt(2 / FAN_IN)),
        (initializers.KaimingNormal(a=1.0), 0, sqrt(1 / FAN_IN)),
        (initializers.KaimingNormal(a=sqrt(5)), 0, sqrt(1 / 3 / FAN_IN)),
        (initializers.XavierNormal(), 0, sqrt(2 / (FAN_IN + FAN_OUT))),
        (initializers.XavierNormal(gain=2.0), 0, 2 * sqrt(2 / (FAN_IN + FAN_OUT))),
        (initializers.Normal(), 0, 1),
        (initializers.Normal(3.0, 0.1), 3, 0.1),
    ],
    ids=repr,
)
def test_normal_ones_have_their_deviation(initializer, mean, deviation):
    values = draw(initializer)
    assert values.std() == pytest.approx(deviation, rel=0.01)
    assert values.mean() == pytest.approx(mean, abs=0.02 * deviation)
    # 0.27 % of a normal distribution lie beyond three deviations.
    beyond = np.mean(np.abs(values - mean) > 3 * deviation)
    assert beyond == pytest.approx(0.0027, rel=0.3)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5), (1, 4)])
@pytest.mark.parametrize("gain", [1.0, sqrt(2)])
def test_orthogonal(shape, gain):
    matrix = draw(initializers.Orthogonal(gain), shape)
    rows, columns = shape
    product = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    np.testing.assert_allclose(product, gain**2 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_points_either_way():
    # Plain QR fixes the sign of the first entry. Of 400 fair ones, 160 to 240 is four deviations.
    corners = [draw(initializers.Orthogonal(), (3, 3), seed)[0, 0] for seed in range(400)]
    assert 160 <= np.sum(np.array(corners) > 0) <= 240


def test_uniform_between_any_bounds():
    values = draw(initializers.Uniform(2.0, 3.0))
    assert 2 <= values.min() < 2.001
    assert 2.999 < values.max() <= 3


def test_constants():
    assert (draw(initializers.Constant(2.5)) == 2.5).all()
    assert not draw(initializers.Zeros()).any()


@pytest.mark.parametrize(
    "initializer",
    [
        initializers.KaimingUniform(),
        initializers.XavierNormal(),
        initializers.KaimingNormal(),
        initializers.XavierUniform(),
        initializers.Uniform(),
        initializers.UniformByFanIn(),
        initializers.Orthogonal(),
        initializers.Normal(),
    ],
    ids=repr,
)
def test_values_follow_from_the_seed(initializer):
    assert np.array_equal(draw(initializer, seed=1), draw(initializer, seed=1))
    assert not np.array_equal(draw(initializer, seed=1), draw(initializer, seed=2))


def test_a_convolution_counts_the_places_of_its_kernel():
    """As in PyTorch: fan-in and fan-out are channels times the size of the kernel."""

    def weight(initializer):
        layer = cr.Conv2d(4, 24, (3, 2), groups=2, weight_init=initializer)
        return cr.Sequential(layer, seed=0, dtype="float64").parameters()["0.weight"]

    bound = (6 / (2 * 6 + 24 * 6)) ** 0.5
    assert 0.95 * bound < np.abs(weight(cr.initializers.XavierUniform())).max() <= bound
    columns = weight(cr.initializers.Orthogonal()).reshape(12, 24)
    np.testing.assert_allclose(columns @ columns.T, np.eye(12), atol=1e-12)


def test_linear_begins_as_in_pytorch():
    net = cr.Sequential(cr.Linear(400, 50), seed=0)
    for view in net.parameters().values():
        assert 0.9 / 20 < np.abs(view).max() <= 1 / 20  # 1 / sqrt(400)


def test_linear_with_initializers_of_ones_own():
    layer = cr.Linear(
        4, 3, weight_init=initializers.Orthogonal(), bias_init=initializers.Constant(0.5)
    )
    weight, bias = cr.Sequential(layer, seed=0, dtype="float64").parameters().values()
    np.testing.assert_allclose(weight.T @ weight, np.eye(3), atol=1e-12)
    assert (bias == 0.5).all()


def test_a_subclass_is_an_initializer():
    class Identity(initializers.Initializer):
        def __call__(self, shape, fan_in, rng):
            assert fan_in == 3
            return np.eye(*shape)

    net = cr.Sequential(cr.Linear(3, 3, bias=False, weight_init=Identity()), seed=0)
    assert np.array_equal(net.predict(np.eye(3)), np.eye(3))
