"""Sample weights of both signs: every loss is the same mean, wherever it is computed."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.losses import classification, regression

RNG = np.random.default_rng(0)
ROWS = 12
X, OUTPUT = RNG.normal(size=(ROWS, 3)), RNG.uniform(size=(ROWS, 4))
TARGETS, LABELS = RNG.uniform(size=(ROWS, 4)), RNG.integers(0, 4, ROWS)
WEIGHTS = RNG.normal(size=ROWS)
ARGUMENTS = {"QuantileLoss": [(0.1, 0.5, 0.6, 0.9)]}
LOSSES = [
    getattr(module, name)(*ARGUMENTS.get(name, []))
    for module in (classification, regression)
    for name in module.__all__
]
LOSSES += [
    cr.CrossEntropyLoss(weight=[1.0, 0.5, 2.0, 0.0]),
    cr.BCEWithLogitsLoss(pos_weight=3.0),
]
each = pytest.mark.parametrize("loss", LOSSES, ids=repr)


def network(**options):
    layers = cr.Linear(3, 5), cr.Tanh(), cr.Linear(5, 4), cr.Softplus()
    return cr.Sequential(*layers, seed=0, dtype="float64", **options)


def targets(loss):
    if loss.takes_labels:
        return LABELS
    columns = loss.target_shape((4,))
    return TARGETS[:, : columns[0]] if columns else TARGETS[:, 0]


def sizes(loss, weights):
    """Return how much each row counts."""
    of_classes = np.array(getattr(loss, "weight", None) or [1.0] * 4)
    return np.abs(weights) * (of_classes[LABELS] if loss.takes_labels else 1.0)


@each
def test_the_mean_is_divided_by_the_sum_of_the_sizes(loss):
    y, total = targets(loss), sizes(loss, WEIGHTS).sum()
    value, d_output = loss(OUTPUT, y, WEIGHTS)
    expected, d_expected = 0.0, 0.0
    for sign in (1, -1):
        part = np.maximum(sign * WEIGHTS, 0)
        of_part, d_part = loss(OUTPUT, y, part)
        share = sign * sizes(loss, part).sum() / total
        expected, d_expected = expected + share * of_part, d_expected + share * d_part
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(d_output, d_expected, rtol=1e-12, atol=1e-15)
    opposite, d_opposite = loss(OUTPUT, y, -WEIGHTS)
    assert opposite == -value
    assert np.array_equal(d_opposite, -d_output)


def test_weights_whose_sum_is_zero_have_a_loss():
    value, d_output = cr.CrossEntropyLoss()([[0.0, 0.0], [2.0, 0.0]], [0, 0], [1.0, -1.0])
    one, other = np.log(2), np.log(1 + np.exp(-2.0))
    assert value == pytest.approx((one - other) / 2, rel=1e-14)
    np.testing.assert_allclose(d_output[:, 0], [-0.25, 0.5 / (1 + np.exp(2.0))], rtol=1e-14)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@each
def test_every_way_to_it_gives_the_same(loss, backend):
    y = targets(loss)
    net = network(backend=backend)
    value, d_output = loss(net.forward(X), y, WEIGHTS)
    net.backward(d_output)
    close = {"rtol": 1e-10, "atol": 1e-13}
    objective = cr.objective(net, loss, X, y, WEIGHTS)
    found, gradient = objective.fun(objective.start)
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(gradient, net.grads, **close)
    stepped, fitted, by_hand = (network(backend=backend) for _ in range(3))
    by_hand.grads = net.grads
    cr.SGD(lr=0.1).step(by_hand)
    cr.train_step(stepped, loss, cr.SGD(lr=0.1))(X, y, WEIGHTS)
    options = {"loss": loss, "optimizer": cr.SGD(lr=0.1), "epochs": 1, "batch_size": ROWS}
    options |= {"shuffle": False, "progress": False}
    history = cr.fit(fitted, X, y, sample_weight=WEIGHTS, **options)
    assert history.loss[0] == pytest.approx(value, rel=1e-12)
    for net in (stepped, fitted):
        np.testing.assert_allclose(net.params, by_hand.params, **close)


@each
def test_its_derivatives_are_right(loss):
    net, y = network(), targets(loss)
    assert cr.gradcheck(net, loss, X, y, sample_weight=WEIGHTS).passed
    objective = cr.objective(net, loss, X, y, WEIGHTS)
    cr.gradgradcheck(lambda theta: objective.fun(theta)[1], objective.hessp, objective.start)


def test_the_mean_of_an_epoch_is_that_of_its_batches():
    net, weights = network(), WEIGHTS.copy()
    weights[:5] = [1.0, -1.0, 1.0, -1.0, 0.0]  # a batch whose sum is 0
    options = {"loss": cr.CrossEntropyLoss(), "optimizer": cr.SGD(lr=0.0), "epochs": 1}
    history = cr.fit(
        net,
        X,
        LABELS,
        sample_weight=weights,
        batch_size=5,
        shuffle=False,
        progress=False,
        **options,
    )
    value, _ = cr.CrossEntropyLoss()(net.predict(X), LABELS, weights)
    assert history.loss[0] == pytest.approx(value, rel=1e-12)


def test_functions_on_arrays_do_the_same():
    for weights in (WEIGHTS, np.array([1.0, -1.0] * 6)):
        expected = cr.CrossEntropyLoss()(OUTPUT, LABELS, weights)
        found = cr.ops.cross_entropy(OUTPUT, LABELS, sample_weight=weights)
        assert found[0] == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
        twin = cr.reference.cross_entropy(OUTPUT, LABELS, sample_weight=weights)
        np.testing.assert_allclose(twin[1], expected[1], rtol=1e-12)


def test_residuals_have_no_negative_weights():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS, WEIGHTS)
    with pytest.raises(ValueError, match="sample_weight must not be negative for residuals"):
        objective.residuals(objective.start)
