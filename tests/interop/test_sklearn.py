"""The estimators keep scikit-learn's contract, and what MLP's users rely on."""

import doctest
import inspect
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    parametrize_with_checks,
)

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

PAIRS = [(NetworkClassifier, MLPClassifier), (NetworkRegressor, MLPRegressor)]
IN_DOUBLE = [
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [NetworkClassifier(max_iter=100), NetworkRegressor(max_iter=100)],
    expected_failed_checks=lambda estimator: {
        check.__name__: "asks float32 for 1e-7; holds in float64, below" for check in IN_DOUBLE
    },
)
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", IN_DOUBLE)
@pytest.mark.parametrize(
    "model",
    [
        NetworkClassifier(solver="lbfgs", dtype="float64"),
        NetworkRegressor(solver="sgd", tol=1e-2, random_state=42, dtype="float64"),
    ],
)
def test_contract_in_double(model, check):
    check(type(model).__name__, model)


@pytest.mark.parametrize(("own", "theirs"), PAIRS)
def test_parameters_and_defaults_are_scikit_learns(own, theirs):
    mine = inspect.signature(own).parameters
    for position, (name, parameter) in enumerate(inspect.signature(theirs).parameters.items()):
        assert mine[name].default == parameter.default
        assert mine[name].kind == parameter.kind
        if parameter.kind == parameter.POSITIONAL_OR_KEYWORD:
            assert list(mine)[position] == name
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(own))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("own", "theirs"), PAIRS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_attributes_are_scikit_learns(own, theirs, early_stopping):
    X, y = load_iris(return_X_y=True)
    models = [one(max_iter=3, early_stopping=early_stopping).fit(X, y) for one in (own, theirs)]
    mine, expected = ({n for n in dir(m) if n[-1] == "_" and n[0] != "_"} for m in models)
    assert expected <= mine


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_lbfgs_fit_finds_what_scikit_learn_finds():
    X, y = make_regression(60, 4, noise=1.0, random_state=0)
    options = {"hidden_layer_sizes": 1, "activation": "identity", "solver": "lbfgs", "alpha": 5.0}
    models = [one(**options, random_state=0).fit(X, y / 50) for one in PAIRS[1]]
    own, theirs = (model.predict(X) for model in models)
    np.testing.assert_allclose(own, theirs, rtol=1e-2, atol=1e-2)
    assert models[0].loss_ == pytest.approx(models[1].loss_, rel=1e-3)


def test_stops_warns_and_goes_on():
    X, y = load_digits(n_class=3, return_X_y=True)
    model = NetworkClassifier(20, tol=1e-2, random_state=0, warm_start=True).fit(X / 16, y)
    assert model.n_iter_ < model.max_iter
    assert len(model.loss_curve_) == model.n_iter_
    assert model.best_loss_ == min(model.loss_curve_)
    assert model._no_improvement_count == model.n_iter_no_change + 1
    with pytest.raises(ValueError, match="same classes as in the previous"):
        model.fit(X, y % 2)
    with pytest.warns(ConvergenceWarning, match="hasn't converged"):
        NetworkClassifier(20, max_iter=2).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_early_stopping_restores_the_best():
    X, y = load_digits(n_class=3, return_X_y=True)
    labels = np.array(["a", "b", "c"], dtype=object)[y]
    model = NetworkClassifier(early_stopping=True, max_iter=30, random_state=0).fit(X, labels)
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert set(model.predict(X)) == {"a", "b", "c"}
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model.partial_fit(X, labels)


def test_partial_fit_belongs_to_stochastic_solvers():
    assert not hasattr(NetworkClassifier(solver="lbfgs"), "partial_fit")
    model = NetworkClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit([[1.0]], ["a"])
    model.partial_fit([[1.0], [2.0]], ["a", "b"], classes=["a", "b", "c"])
    model.partial_fit([[3.0]], ["c"])
    assert model.predict_proba([[1.0]]).shape == (1, 3)
    with pytest.raises(ValueError, match=r"not in `self\.classes_`"):
        model.partial_fit([[3.0]], ["d"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_coefs_are_writable_and_survive_a_file(tmp_path):
    X, y = make_regression(50, 3, n_targets=2, random_state=0)
    model = NetworkRegressor(hidden_layer_sizes=5, max_iter=2).fit(X, y)
    model.coefs_[1][...] = 0
    model.intercepts_ = [np.zeros(5), np.array([1.0, 2.0])]
    joblib.dump(model, tmp_path / "model")
    np.testing.assert_array_equal(joblib.load(tmp_path / "model").predict(X[:1]), [[1.0, 2.0]])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_more():
    X, y = load_iris(return_X_y=True)
    module = cr.Sequential(cr.Linear(4, 8), cr.GELU(), cr.Linear(8, 3), seed=0)
    own = NetworkClassifier(module=module, class_weight="balanced", max_iter=5, dtype="float64")
    assert own.fit(X, y).predict_proba(X).dtype == np.float64
    huber = NetworkRegressor(cr.HuberLoss(), (8, 4), ["tanh", cr.SiLU()], max_iter=5).fit(X, y)
    assert isinstance(huber.network_[3], cr.SiLU)
    counts = NetworkRegressor("poisson", 4, max_iter=5).fit(X, y)
    assert (counts.predict(X) > 0).all()
    with pytest.raises(ValueError, match="one for each of the 1 hidden layers"):
        NetworkRegressor(activation=["tanh", "relu"]).fit(X, y)
    with pytest.raises(ValueError, match="module must have 2"):
        NetworkRegressor(module=module).fit(X, X[:, :2])


def test_guide():
    docs = Path(__file__).parents[2] / "docs"
    result = doctest.testfile(str(docs / "from-sklearn.md"), module_relative=False)
    assert result.attempted > 3
    assert result.failed == 0
