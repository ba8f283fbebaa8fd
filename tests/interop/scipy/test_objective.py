"""The loss as a function of its parameters is the network's, and SciPy finds its minimum."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import chainrule as cr
from chainrule.autodiff.validation import flat_vector
from chainrule.kernels.jit import JIT_DISABLED

optimize = pytest.importorskip("scipy.optimize")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
TARGETS = RNG.uniform(size=(12, 2))
WEIGHTS = RNG.uniform(size=12)
module = sys.modules["chainrule.interop.scipy.objective"]  # the package's attribute is the function
LOSSES = [cr.MSELoss(), cr.HuberLoss(0.3), cr.BCEWithLogitsLoss(), cr.CrossEntropyLoss(0.1)]


def network(**options):
    layers = cr.Linear(3, 4), cr.Tanh(), cr.Rescale(0.5, 1.0), cr.Linear(4, 2)
    return cr.Sequential(cr.Rescale(2.0), *layers, seed=0, **options)


def target_for(loss):
    return (TARGETS[:, 0] > 0.5).astype(int) if loss.takes_labels else TARGETS


def test_its_repr_is_short():
    goal = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    assert repr(goal) == "<Objective: MSELoss() of 12 rows by 26 parameters>"


def by_hand(net, loss, theta, weights):
    net = net.copy("float64")
    net.params = theta
    value, d_output = loss(net.forward(X), target_for(loss), weights)
    net.backward(d_output)
    return value, net.grads


def assert_close(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-14 * abs(expected[1]).max())


@pytest.mark.parametrize("block", [1024, 5, 1])
@pytest.mark.parametrize("weights", [None, WEIGHTS, np.arange(12) % 5 // 4], ids=["", "w", "few"])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_value_and_gradient_are_the_networks(loss, weights, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    net = network()
    objective = cr.objective(net, loss, X, target_for(loss), weights)
    for theta in (objective.start, RNG.normal(size=objective.start.shape)):
        assert_close(objective.fun(theta), by_hand(net, loss, theta, weights))


def test_without_any_weight_there_is_no_loss(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5)
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS, np.zeros(12))
    value, gradient = objective.fun(objective.start)
    assert value == 0
    assert not gradient.any()


def test_gradcheck_agrees():
    objective = cr.objective(network(), cr.HuberLoss(0.3), X, TARGETS, WEIGHTS)
    cr.gradcheck(lambda t: objective.fun(t)[0], lambda t: objective.fun(t)[1], objective.start)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "w"])
def test_residuals_and_their_derivatives(weights, backend):
    objective = cr.objective(network(backend=backend), cr.MSELoss(), X, TARGETS, weights)
    theta = objective.start + 0.1
    r, J = objective.residuals(theta), objective.jac(theta)
    assert (r.shape, J.shape) == ((24,), (24, theta.size))
    value, gradient = objective.fun(theta)
    divisor = 2 * (12 if weights is None else weights.sum())
    assert r @ r / divisor == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(2 * r @ J / divisor, gradient, rtol=1e-11, atol=1e-14)
    step = 1e-5 * RNG.normal(size=theta.size)
    difference = (objective.residuals(theta + step) - objective.residuals(theta - step)) / 2
    np.testing.assert_allclose(J @ step, difference, rtol=0, atol=1e-13)


def test_the_residuals_of_rows_and_outputs_with_more_axes():
    net = cr.Sequential(cr.Linear(3, 2), cr.ReLU(), cr.Flatten(), cr.Linear(4, 1), seed=0)
    images, y = RNG.normal(size=(5, 2, 3)), RNG.normal(size=5)
    objective = cr.objective(net, cr.MSELoss(), images, y)
    expected = net.copy("float64").predict(images)[:, 0] - y
    np.testing.assert_allclose(objective.residuals(objective.start), expected, rtol=1e-14)
    assert objective.jac(objective.start).shape == (5, net.params.size)
    rows = cr.objective(
        cr.Sequential(cr.Linear(3, 2), seed=0), cr.MSELoss(), images, images[..., 1:]
    )
    assert rows.residuals(rows.start).shape == (5 * 2 * 2,)
    r, J = rows.residuals(rows.start), rows.jac(rows.start)
    np.testing.assert_allclose(r @ J / 10, rows.fun(rows.start)[1], rtol=1e-12)


def test_the_network_and_the_objective_do_not_touch_each_other():
    net = network()
    net.grads[:] = 1.0
    params = net.params.copy()
    objective = cr.objective(net, cr.MSELoss(), X, TARGETS)
    assert objective.start.dtype == np.float64
    before = objective.fun(objective.start)
    for method in (objective.fun, objective.residuals, objective.jac):
        method(objective.start + 1.0)
    assert np.array_equal(net.params, params)
    assert (net.grads == 1.0).all()
    net.params = np.zeros(params.size)
    after = objective.fun(objective.start)
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])


def test_each_call_gives_a_gradient_of_its_own():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    _, first = objective.fun(objective.start)
    kept = first.copy()
    _, second = objective.fun(objective.start + 1.0)
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept)


def test_theta_is_read_in_place_and_not_kept():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    theta = objective.start.copy()
    assert flat_vector(objective._net, theta, "theta") is theta
    value, _ = objective.fun(theta)
    assert np.array_equal(theta, objective.start)
    theta += 1.0
    assert objective.fun(theta)[0] != value


def read_only(theta):
    theta = theta.copy()
    theta.flags.writeable = False
    return theta


@pytest.mark.parametrize(
    "variant",
    [read_only, lambda t: np.repeat(t, 2)[::2], lambda t: t.astype(">f8"), list, memoryview],
    ids=["read-only", "strided", "big-endian", "list", "memoryview"],
)
def test_theta_in_any_form_gives_the_same_and_compiles_nothing(variant):
    from chainrule.engine.interpreter import run

    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    value, gradient = objective.fun(objective.start)
    compiled = None if JIT_DISABLED else len(run.signatures)
    found = objective.fun(variant(objective.start))
    assert found[0] == value
    assert np.array_equal(found[1], gradient)
    assert compiled is None or len(run.signatures) == compiled


def test_float32_thetas_are_widened():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    theta = objective.start.astype("float32")
    assert objective.fun(theta)[0] == objective.fun(theta.astype(float))[0]


def test_threads_may_call_at_once(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5)
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    thetas = objective.start + np.arange(40)[:, np.newaxis] / 10
    expected = list(map(objective.fun, thetas))
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(objective.fun, thetas), expected, strict=True):
            assert found[0] == alone[0]
            assert np.array_equal(found[1], alone[1])


@pytest.mark.parametrize("block", [1024, 5])
def test_a_loss_that_overflows_has_no_gradient(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    value, gradient = objective.fun(np.full(objective.start.size, 1e200))
    assert value == np.inf
    assert np.isnan(gradient).all()
    assert np.isfinite(objective.fun(objective.start)[1]).all()


@pytest.mark.parametrize(
    ("theta", "error", "message"),
    [
        (np.zeros(25), ValueError, r"theta must have shape \(26,\), one number.* is \(25,\)\."),
        (np.zeros((26, 1)), ValueError, r"theta must have shape \(26,\).* is \(26, 1\)\."),
        (np.full(26, np.nan), ValueError, r"theta must be finite, but theta\[0\] is nan\."),
        (np.zeros(26, complex), TypeError, r"theta must hold real numbers, but .* complex128\."),
        (None, TypeError, r"theta must be an array, not a NoneType\."),
    ],
)
def test_wrong_thetas(theta, error, message):
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    for method in (objective.fun, objective.residuals, objective.jac):
        with pytest.raises(error, match=message):
            method(theta)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"net": [cr.Linear(3, 2)]}, TypeError, r"net must be a Sequential, not \[Linear"),
        ({"loss": "mse"}, TypeError, r"loss must be a loss such as cr\.MSELoss\(\), not 'mse'\."),
        ({"X": X[:, :2]}, ValueError, r"expects 3 input features, but .* \(n, 2\)\."),
        ({"X": X * np.nan}, ValueError, r"X must be finite, but X\[0, 0\] is nan\."),
        ({"weight_decay": -1.0}, ValueError, r"weight_decay must be 0 or more, not -1\.0"),
        ({"weight_decay": {"9.*": 1.0}}, ValueError, r"weight_decay has a pattern '9\.\*' that"),
        ({"y": TARGETS[:5]}, ValueError, r"y must have the shape of the output, \(12, 2\)"),
    ],
)
def test_wrong_arguments(changed, error, message):
    arguments = {"net": network(), "loss": cr.MSELoss(), "X": X, "y": TARGETS} | changed
    with pytest.raises(error, match=message):
        cr.objective(**arguments)


MASK = np.arange(26) % 3 == 0
FREE = {  # and the mask that says the same
    "4.*": np.arange(26) >= 16,
    ("*.bias", "4.weight"): np.r_[np.repeat([False, True], [12, 4]), np.ones(10, bool)],
    "*": np.ones(26, bool),
}


@pytest.mark.parametrize("free", [*FREE, "mask"], ids=str)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "w"])
def test_an_objective_of_some_parameters_has_the_parts_of_that_of_all(free, weights):
    mask = FREE.get(free, MASK)
    given = MASK if free == "mask" else list(free) if isinstance(free, tuple) else free
    net = network()
    whole = cr.objective(net, cr.MSELoss(), X, TARGETS, weights)
    part = cr.objective(net, cr.MSELoss(), X, TARGETS, weights, free=given)
    part = pickle.loads(pickle.dumps(part))
    assert np.array_equal(part.start, whole.start[mask])
    theta, vector = part.start + 0.1, RNG.normal(size=part.start.shape)
    everything, direction = whole.start.copy(), np.zeros(26)
    everything[mask] += 0.1
    direction[mask] = vector
    assert np.array_equal(part.params(theta), everything)
    value, gradient = whole.fun(everything)
    assert part.fun(theta)[0] == value
    assert np.array_equal(part.fun(theta)[1], gradient[mask])
    assert np.array_equal(part.hessp(theta, vector), whole.hessp(everything, direction)[mask])
    assert np.array_equal(part.residuals(theta), whole.residuals(everything))
    assert np.array_equal(part.jac(theta), whole.jac(everything)[:, mask])


def test_scipy_changes_the_free_parameters_only():
    net = network(dtype="float64")
    before = net.params.copy()
    objective = cr.objective(net, cr.MSELoss(), X, TARGETS, free="4.*")
    least = optimize.least_squares(objective.residuals, objective.start, objective.jac)
    found = optimize.minimize(
        objective.fun, objective.start, jac=True, hessp=objective.hessp, method="trust-ncg"
    )
    np.testing.assert_allclose(found.x, least.x, rtol=1e-4)
    net.params = objective.params(least.x)
    changed = np.flatnonzero(net.params != before)
    assert changed.tolist() == list(range(16, 26))
    first = net.parameters()
    hidden = np.tanh(2 * X @ first["1.weight"] + first["1.bias"]) * 0.5 + 1.0
    hidden = np.c_[hidden, np.ones(12)]
    exact, *_ = np.linalg.lstsq(hidden, TARGETS, rcond=None)
    np.testing.assert_allclose(net.params[16:], exact.ravel(), rtol=1e-6)


@pytest.mark.parametrize(
    ("free", "error", "message"),
    [
        ("5.*", ValueError, r"pattern '5\.\*' that matches no parameter.*these are 1\.weight"),
        (["*.bias", 3], TypeError, "free must be patterns of .* or an array of bool"),
        (np.arange(26), TypeError, "free must be patterns of .* or an array of bool"),
        (np.ones(25, bool), ValueError, r"free must have shape \(26,\).* is \(25,\)\."),
        (np.zeros(26, bool), ValueError, "at least one parameter"),
        ([], ValueError, "at least one parameter"),
    ],
)
def test_wrong_free_parameters(free, error, message):
    with pytest.raises(error, match=message):
        cr.objective(network(), cr.MSELoss(), X, TARGETS, free=free)


def test_vectors_of_the_free_parameters_only():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS, free="4.*")
    for method in (objective.params, objective.fun, objective.residuals, objective.jac):
        with pytest.raises(ValueError, match=r"theta must have shape \(10,\), one .* free param"):
            method(np.zeros(26))
    with pytest.raises(ValueError, match=r"vector must have shape \(10,\), one .* free parameter"):
        objective.hessp(objective.start, np.zeros(26))


def test_residuals_are_of_squares():
    objective = cr.objective(network(), cr.HuberLoss(), X, TARGETS)
    for method in (objective.residuals, objective.jac):
        with pytest.raises(TypeError, match=r"are for MSELoss, but the loss is HuberLoss\(delta"):
            method(objective.start)


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "Newton-CG", "trust-constr"])
def test_minimize(method):
    net = network()
    objective = cr.objective(net, cr.MSELoss(), X, TARGETS)
    result = optimize.minimize(
        objective.fun, objective.start, jac=True, method=method, options={"maxiter": 15}
    )
    assert result.fun < 0.5 * objective.fun(objective.start)[0]
    net.params = result.x
    value, _ = cr.MSELoss()(net.forward(X), TARGETS)
    assert value == pytest.approx(result.fun, rel=1e-5)


DECAYS = [0.3, {"*.weight": 0.3}, {"1.*": 0.1, "*.bias": 0.2}]


@pytest.mark.parametrize("decay", DECAYS, ids=str)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_penalty_is_the_weight_decay_of_sgd(loss, decay):
    net = network(dtype="float64")
    plain = cr.objective(net, loss, X, target_for(loss), WEIGHTS)
    decayed = cr.objective(net, loss, X, target_for(loss), WEIGHTS, weight_decay=decay)
    theta = RNG.normal(size=plain.start.size)
    value, gradient = decayed.fun(theta)
    cr.gradcheck(lambda t: decayed.fun(t)[0], lambda t: decayed.fun(t)[1], theta)
    cr.gradgradcheck(lambda t: decayed.fun(t)[1], decayed.hessp, theta)
    net.params = theta
    net.grads = plain.fun(theta)[1]
    cr.SGD(lr=0.5, weight_decay=decay).step(net)
    np.testing.assert_allclose(net.params, theta - 0.5 * gradient, rtol=1e-12, atol=1e-14)
    assert value > plain.fun(theta)[0]
    assert (
        cr.objective(net, loss, X, target_for(loss), weight_decay={"*": 0.0}).fun(theta)[0]
        == (cr.objective(net, loss, X, target_for(loss)).fun(theta)[0])
    )
    assert_close(pickle.loads(pickle.dumps(decayed)).fun(theta), (value, gradient))


@pytest.mark.parametrize("decay", DECAYS, ids=str)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "w"])
def test_residuals_have_the_penalty(decay, weights):
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS, weights, weight_decay=decay)
    theta = RNG.normal(size=objective.start.size)
    residuals, derivatives = objective.residuals(theta), objective.jac(theta)
    total = 2 * (12 if weights is None else weights.sum())
    value, gradient = objective.fun(theta)
    assert residuals @ residuals / total == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(2 * residuals @ derivatives / total, gradient, rtol=1e-10)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_products_with_the_hessian(loss):
    objective = cr.objective(network(), loss, X, target_for(loss), WEIGHTS)
    cr.gradgradcheck(lambda t: objective.fun(t)[1], objective.hessp, objective.start)


def test_a_wrong_vector_for_the_hessian():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    with pytest.raises(ValueError, match=r"vector must have shape \(26,\), one number a parameter"):
        objective.hessp(objective.start, objective.start[1:])


def test_minimize_with_the_hessian():
    objective = cr.objective(network(), cr.MSELoss(), X, TARGETS)
    result = optimize.minimize(
        objective.fun, objective.start, jac=True, hessp=objective.hessp, method="trust-ncg"
    )
    assert result.fun < 0.01 * objective.fun(objective.start)[0]


def test_least_squares_finds_an_exact_fit():
    teacher = network(dtype="float64")
    y = teacher.predict(X)
    objective = cr.objective(network(), cr.MSELoss(), X, y)
    start = objective.start + 0.05 * RNG.normal(size=objective.start.size)
    exact = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    result = optimize.least_squares(objective.residuals, start, objective.jac, **exact)
    assert objective.fun(result.x)[0] < 1e-25


def test_frozen_parameters_are_not_free_and_a_penalty_is_by_the_free_ones():
    net = cr.Sequential(cr.Linear(2, 3), cr.Tanh(), cr.Linear(3, 1), seed=0, dtype="float64")
    net.freeze("0.*")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    frozen = cr.objective(net, cr.MSELoss(), X, y, weight_decay=0.1)
    named = cr.objective(net, cr.MSELoss(), X, y, weight_decay=0.1, free="2.*")
    assert frozen.start.shape == (4,)
    value, gradient = frozen.fun(frozen.start)
    assert value == named.fun(named.start)[0]
    residuals, jac = frozen.residuals(frozen.start), frozen.jac(frozen.start)
    assert jac.shape == (20 + net.params.size, 4)
    np.testing.assert_allclose(2 * jac.T @ residuals / 20, gradient, rtol=1e-10)
    product = frozen.hessp(frozen.start, np.ones(4))
    step = 1e-6
    ahead, behind = (frozen.fun(frozen.start + s * np.ones(4))[1] for s in (step, -step))
    np.testing.assert_allclose((ahead - behind) / (2 * step), product, rtol=1e-6, atol=1e-8)
