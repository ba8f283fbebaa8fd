"""From the same weights, the solvers make the steps that scikit-learn's make, in float64."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

PAIRS = [(NetworkClassifier, MLPClassifier), (NetworkRegressor, MLPRegressor)]
SGD = [
    {"solver": "sgd", "learning_rate": schedule, "momentum": momentum, "nesterovs_momentum": ahead}
    for schedule in ("constant", "invscaling", "adaptive")
    for momentum in (0.0, 0.5, 0.9)
    for ahead in ((True, False) if momentum else (True,))
]
ADAM = [
    {"solver": "adam", "beta_1": beta_1, "beta_2": beta_2}
    for beta_1, beta_2 in ((0.9, 0.999), (0.0, 0.5))
]
EPOCHS = 12
X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
TARGETS = {MLPClassifier: LABELS, MLPRegressor: np.column_stack([LABELS, X[:, 0]])}
# Each batch of 50 rows has the same sum, with a mean of 3.
WEIGHTS = np.tile(np.linspace(1.0, 5.0, 50), 3)
OPTIONS = {
    "hidden_layer_sizes": (6, 5), "activation": "tanh", "alpha": 2.0, "batch_size": 50,
    "learning_rate_init": 0.05, "epsilon": 1e-13, "shuffle": False, "random_state": 0,
    # No epoch is better: an adaptive rate is lowered after each third.
    "tol": 100.0, "n_iter_no_change": 2,
}  # fmt: skip


def name(options):
    return "-".join(map(str, options.values()))


def begin_alike(own, theirs):
    """Give the estimator the other's weights, and what it knows of the epochs before."""
    own.coefs_, own.intercepts_ = theirs.coefs_, theirs.intercepts_
    own.best_loss_, own._no_improvement_count = theirs.best_loss_, theirs._no_improvement_count


def assert_same(own, theirs, rtol):
    for mine, expected in zip(
        own.coefs_ + own.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(mine, expected, rtol=rtol, atol=rtol)
    assert (own.n_iter_, own.t_) == (theirs.n_iter_, theirs.t_)
    assert own._no_improvement_count == theirs._no_improvement_count
    if own.solver == "sgd":
        assert own._optimizer.lr == pytest.approx(theirs._optimizer.learning_rate)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("pair", PAIRS, ids=["classifier", "regressor"])
@pytest.mark.parametrize("options", SGD + ADAM, ids=name)
def test_fit(options, pair, weights):
    options = OPTIONS | options | {"warm_start": True, "max_iter": 1}
    own, theirs = pair[0](**options, dtype="float64"), pair[1](**options)
    y = TARGETS[pair[1]]
    for model in (own, theirs):
        model.fit(X, y, weights).set_params(max_iter=EPOCHS)
    begin_alike(own, theirs)
    for model in (own, theirs):
        model.fit(X, y, weights)
    assert_same(own, theirs, 1e-9)


@pytest.mark.parametrize("pair", PAIRS, ids=["classifier", "regressor"])
@pytest.mark.parametrize("options", SGD + ADAM, ids=name)
def test_partial_fit(options, pair):
    own, theirs = pair[0](**OPTIONS, **options, dtype="float64"), pair[1](**OPTIONS, **options)
    y = TARGETS[pair[1]]
    first = {"classes": np.unique(y)} if y.ndim == 1 else {}
    for model in (own, theirs):
        model.partial_fit(X, y, **first)
        del model._optimizer  # it has a velocity of other weights
    begin_alike(own, theirs)
    for _ in range(EPOCHS):
        for model in (own, theirs):
            model.partial_fit(X, y)
    assert_same(own, theirs, 1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("options", SGD + ADAM, ids=name)
def test_early_stopping_with_weights(options):
    """The same rows are held out, and count by the same weights."""
    y, weights = TARGETS[MLPRegressor], np.linspace(0.0, 5.0, len(X))
    options = OPTIONS | options | {"warm_start": True, "max_iter": 1, "early_stopping": True}
    options |= {"tol": 1e-2, "batch_size": 135}
    own, theirs = NetworkRegressor(**options, dtype="float64"), MLPRegressor(**options)
    for model in (own, theirs):
        model.fit(X, y, weights).set_params(max_iter=EPOCHS)
        model.validation_scores_, model.best_validation_score_ = [], -np.inf
    begin_alike(own, theirs)
    for model in (own, theirs):
        model.fit(X, y, weights)
    assert_same(own, theirs, 1e-9)
    np.testing.assert_allclose(own.validation_scores_, theirs.validation_scores_, rtol=0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh", "identity"])
@pytest.mark.parametrize(("solver", "rtol"), [("sgd", 1e-9), ("adam", 1e-7)])
def test_losses_and_activations(solver, rtol, activation):
    options = OPTIONS | {"warm_start": True, "max_iter": 1, "batch_size": 150, "tol": 1e-4}
    options |= {"solver": solver, "activation": activation, "learning_rate_init": 0.01}
    options |= {"n_iter_no_change": 10}
    several = np.column_stack([LABELS == 0, X[:, 0] > 0, LABELS > 0]).astype(int)
    problems = [(pair, TARGETS[pair[1]]) for pair in PAIRS]
    problems += [(PAIRS[0], several), (PAIRS[0], several[:, 1]), (PAIRS[1], X[:, 0])]
    for (make_own, make_theirs), y in problems:
        own, theirs = make_own(**options, dtype="float64"), make_theirs(**options)
        for model in (own, theirs):
            model.fit(X, y, WEIGHTS).set_params(max_iter=10)
        begin_alike(own, theirs)
        for model in (own, theirs):
            model.fit(X, y, WEIGHTS)
        assert_same(own, theirs, rtol)
        np.testing.assert_allclose(own.loss_curve_[1:], theirs.loss_curve_[1:], rtol=1e-6)
        if make_own is NetworkClassifier:
            np.testing.assert_allclose(own.predict_proba(X), theirs.predict_proba(X), rtol=1e-5)
        np.testing.assert_allclose(own.predict(X), theirs.predict(X), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power_t", [0.0, 5.0, 50.0, 1e3])
def test_any_power_of_the_rate_stays_finite(power_t, dtype):
    model = NetworkRegressor(
        solver="sgd", learning_rate="invscaling", power_t=power_t, max_iter=30, dtype=dtype,
        n_iter_no_change=30, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, TARGETS[MLPRegressor])
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model._optimizer.state(model.network_).vectors).all()
