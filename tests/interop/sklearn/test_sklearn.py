"""The estimators do what users of scikit-learn's MLP rely on, and what is more."""

import doctest
import importlib
import inspect
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

PAIRS = [(NetworkClassifier, MLPClassifier), (NetworkRegressor, MLPRegressor)]


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
    model.set_params(max_iter=1).partial_fit([[3.0]], ["c"])  # one epoch, and no warning
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
    with pytest.raises(ValueError, match=r"a list of 1 activation, .* not of 2\."):
        NetworkRegressor(activation=["tanh", "relu"]).fit(X, y)
    with pytest.raises(ValueError, match=r"a chainrule layer or one of identity.*not None"):
        NetworkRegressor(activation=None).fit(X, y)
    with pytest.raises(TypeError, match=r"hidden_layer_sizes must be an integer, not 2\.5"):
        NetworkRegressor(hidden_layer_sizes=(3, 2.5)).fit(X, y)
    with pytest.raises(ValueError, match="module must have 2 outputs, but"):
        NetworkRegressor(module=module).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="'loss' parameter"):
        NetworkClassifier(loss="hinge").fit(X, y)
    with pytest.raises(ValueError, match="'dtype' parameter"):
        NetworkClassifier(dtype="float16").fit(X, y)
    with pytest.raises(ValueError, match="'class_weight' parameter"):
        NetworkClassifier(class_weight=3).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("layer", [cr.PReLU(), cr.PReLU(8), cr.GLU()], ids=repr)
def test_slopes_are_no_weights(layer, solver):
    """They are neither in coefs_ nor in the penalty, and GLU halves what comes next."""
    X, y = load_iris(return_X_y=True)
    options = {"activation": [layer, cr.Mish()], "max_iter": 2, "random_state": 0}
    model = NetworkClassifier((8, 6), solver=solver, alpha=1e6, **options).fit(X, y)
    n_in = 4 if isinstance(layer, cr.GLU) else 8
    assert [w.shape for w in model.coefs_] == [(4, 8), (n_in, 6), (6, 3)]
    assert [b.shape for b in model.intercepts_] == [(8,), (6,), (3,)]
    assert model.n_layers_ == 4
    assert max(abs(w).max() for w in model.coefs_) < 1.5  # the penalty pulls them to 0
    slopes = model.network_.parameters().get("1.weight", np.full(1, 0.25))
    np.testing.assert_allclose(slopes, 0.25, atol=0.02)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_of_labels_has_an_output_for_each_class(classes, solver):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], np.array(["a", "b", "c"])[y[y < classes]]
    loss = cr.CrossEntropyLoss(weight=np.arange(1.0, classes + 1))
    model = NetworkClassifier(
        (8,), loss=loss, solver=solver, max_iter=60, random_state=0, learning_rate_init=0.02
    ).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.predict_proba(X).shape == (len(X), classes)
    assert (model.classes_[model.predict_proba(X).argmax(axis=1)] == model.predict(X)).all()
    assert model.predict(X).dtype == y.dtype


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_poisson_loss_predicts_rates():
    X = np.zeros((100, 1))
    y = np.random.default_rng(0).poisson(3.0, 100)
    model = NetworkRegressor(cr.PoissonNLLLoss(), (), solver="lbfgs", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean(), rtol=1e-3)


@pytest.mark.parametrize("loss", [cr.QuantileLoss([0.1, 0.5]), cr.GaussianNLLLoss()], ids=repr)
def test_losses_of_several_outputs_for_a_number_are_refused(loss):
    def module(n_in, n_out):
        return cr.Sequential(cr.Linear(n_in, 2 * n_out), seed=0)

    X, y = np.ones((10, 3)), np.ones(10)
    with pytest.raises(ValueError, match=r"loss must compare each number of y with one output"):
        NetworkRegressor(loss, module=module).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_mixed_heads():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    heads = cr.Branch(cr.Linear(8, 3), cr.Linear(8, 1))
    module = cr.Sequential(cr.Linear(4, 8), cr.Tanh(), heads, seed=0)
    loss = cr.MultiLoss(cr.CrossEntropyLoss(), cr.MSELoss())
    options = {"module": module, "learning_rate_init": 0.02, "random_state": 0}
    model = NetworkRegressor(loss, max_iter=100, **options)
    columns = np.column_stack([y, X[:, 0]])
    predicted = model.fit(X, (y, X[:, 0])).predict(X)
    assert predicted.shape == (150, 2)
    assert (predicted[:, 0] == y).mean() > 0.9
    assert np.abs(predicted[:, 1] - X[:, 0]).mean() < 0.3
    np.testing.assert_array_equal(model.fit(X, columns).predict(X), predicted)
    with pytest.raises(ValueError, match=r"y has 1 column, but the outputs take \[1, 1\]"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"module has 1 output, but .* takes 2\."):
        NetworkRegressor(loss, module=cr.Sequential(cr.Linear(4, 2))).fit(X, columns)
    with pytest.raises(ValueError, match="must hold class numbers"):
        model.fit(X, columns + 0.5)


def test_what_is_in_a_batch_and_weights_counts():
    X, y = make_regression(60, 4, random_state=0)
    options = {"solver": "lbfgs", "hidden_layer_sizes": 4, "random_state": 0, "dtype": "float64"}
    dense = NetworkRegressor(**options).fit(X, y)
    sparse = NetworkRegressor(**options).fit(csr_matrix(X), y)
    np.testing.assert_array_equal(dense.predict(X), sparse.predict(csr_matrix(X)))
    twos = (y > 0).astype(int)
    weighted = NetworkClassifier(class_weight={1: 50.0}, **options).fit(X, twos)
    by_row = NetworkClassifier(**options).fit(X, twos, np.where(twos, 50.0, 1.0))
    np.testing.assert_array_equal(weighted.predict_proba(X), by_row.predict_proba(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_epochs_and_calls_of_partial_fit_agree():
    X, y = make_regression(50, 4, random_state=7)
    options = {"solver": "sgd", "random_state": 1, "batch_size": 50, "shuffle": False}
    whole = NetworkRegressor(max_iter=20, **options).fit(X, y / 50)
    steps = NetworkRegressor(**options)
    for _ in range(20):
        steps.partial_fit(X, y / 50)
    np.testing.assert_array_equal(whole.predict(X), steps.predict(X))
    assert (steps.n_iter_, steps.t_, len(steps.loss_curve_)) == (1, 1000, 20)


def test_learning_rates():
    X, y = [[3.0, 2.0], [1.0, 6.0]], [1, 0]
    options = {"solver": "sgd", "tol": 0.5, "max_iter": 3000}
    adaptive = NetworkClassifier(learning_rate="adaptive", **options).fit(X, y)
    assert adaptive.n_iter_ < 3000
    assert adaptive._optimizer.lr < 1e-6
    inverse = NetworkClassifier(learning_rate="invscaling", power_t=0.25, **options).fit(X, y)
    assert inverse._optimizer.lr == pytest.approx(0.001 / (2 * inverse.n_iter_ + 1) ** 0.25)


@pytest.mark.parametrize("patience", [2, 10, np.inf])
def test_stops_at_the_first_epoch_that_may_be_the_last(patience):
    X, y = load_digits(n_class=2, return_X_y=True)
    model = NetworkClassifier(5, tol=1e9, max_iter=40, n_iter_no_change=patience)
    if patience == np.inf:
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
    else:
        model.fit(X, y)
    assert model.n_iter_ == min(patience + 2, 40)  # the first epoch has none to compare with
    assert model._no_improvement_count == model.n_iter_ - 1


def test_negative_weights_are_refused_before_anything_is_changed():
    X, y = load_iris(return_X_y=True)
    model = NetworkClassifier(max_iter=5)
    with pytest.raises(ValueError, match="Negative values"):
        model.fit(X, y, np.where(y == 1, -1.0, 1.0))
    assert not hasattr(model, "network_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_scikit_learns_company():
    X, y = load_digits(n_class=3, return_X_y=True, as_frame=True)
    pipeline = make_pipeline(
        StandardScaler(), NetworkClassifier(10, max_iter=10, learning_rate_init=0.01)
    )
    pipeline.set_output(transform="pandas")
    grid = GridSearchCV(pipeline, {"networkclassifier__alpha": [1e-4, 1.0]}, n_jobs=2, cv=2)
    assert grid.fit(X, y).best_score_ > 0.8
    assert list(grid.best_estimator_[-1].feature_names_in_) == list(X.columns)
    calibrated = CalibratedClassifierCV(pipeline, cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)
    assert cross_val_score(clone(pipeline), X, y, cv=2).mean() > 0.8


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_in_threads_finds_the_same():
    X, y = load_iris(return_X_y=True)
    model = NetworkClassifier((8,), max_iter=20, random_state=0)
    search = GridSearchCV(model, {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-3, 1e-2]}, cv=3)
    expected = clone(search).fit(X, y)
    with joblib.parallel_config(backend="threading", n_jobs=3):
        found = search.fit(X, y)
    for name in ("mean_test_score", "std_test_score"):
        assert np.array_equal(found.cv_results_[name], expected.cv_results_[name])
    assert np.array_equal(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.once
def test_an_estimator_comes_to_a_worker_without_numba():
    fitted = NetworkClassifier((4,), max_iter=1, random_state=0).fit(*load_iris(return_X_y=True))
    code = (
        "import pickle, sys; pickle.load(sys.stdin.buffer); print('numba' in sys.modules, end='')"
    )
    given = pickle.dumps((clone(fitted), fitted))
    process = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True)
    assert process.stdout == b"False", process.stderr


def test_early_stopping_with_too_little_to_hold_out():
    X, y = make_regression(2, 5, random_state=0)
    with pytest.raises(ValueError, match="validation set is too small"):
        NetworkRegressor(early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="least populated class"):
        NetworkClassifier(early_stopping=True).fit([[1], [2], [3], [4]], [0, 0, 0, 1])


def test_several_labels_a_row():
    X, y = make_multilabel_classification(60, random_state=0, return_indicator=True)
    model = NetworkClassifier(20, solver="lbfgs", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    chances = model.predict_proba(X)
    np.testing.assert_array_equal(chances > 0.5, y)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), chances, rtol=1e-4, atol=1e-30)
    with pytest.raises(ValueError, match="one label a row"):
        NetworkClassifier(class_weight="balanced").fit(X, y)


def test_guide():
    docs = Path(__file__).parents[3] / "docs"
    result = doctest.testfile(str(docs / "from-sklearn.md"), module_relative=False)
    assert result.attempted > 3
    assert result.failed == 0


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "chainrule.interop.sklearn")
    with pytest.raises(ImportError, match=r"chainrule\[sklearn\]"):
        importlib.import_module("chainrule.interop.sklearn")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_dropout():
    X, y = load_digits(n_class=3, return_X_y=True)
    options = {"max_iter": 20, "random_state": 0, "learning_rate_init": 0.01}
    model = NetworkClassifier((20, 10), dropout=[0.5, 0.0], **options).fit(X / 16, y)
    assert [layer for layer in model.network_ if isinstance(layer, cr.Dropout)] == [cr.Dropout(0.5)]
    assert model.score(X / 16, y) > 0.95
    again = NetworkClassifier((20, 10), dropout=[0.5, 0.0], **options).fit(X / 16, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match=r"a list of 1 number, .* not of 2\."):
        NetworkClassifier(dropout=[0.1, 0.2]).fit(X, y)
    with pytest.raises(ValueError, match="'dropout' parameter"):
        NetworkClassifier(dropout=1.0).fit(X, y)
    with pytest.raises(ValueError, match="needs a stochastic solver"):
        NetworkClassifier(dropout=0.1, solver="lbfgs").fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_images(early_stopping):
    """A network of one's own may take them; the default network is for tables."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(60, 6, 5, 2)), np.repeat([0, 1, 2], 20)
    images[labels == 1] += 2
    images[labels == 2] -= 2
    module = cr.Sequential(cr.Conv2d(2, 4, 3), cr.GlobalAvgPool(), cr.Linear(4, 3), seed=0)
    options = {"max_iter": 30, "learning_rate_init": 0.05, "tol": 0, "random_state": 0}
    options["early_stopping"] = early_stopping
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = NetworkClassifier(module=module, **options).fit(images, labels)
        assert model.score(images, labels) > 0.9
        amounts = cr.Sequential(cr.Conv2d(2, 4, 3), cr.GlobalAvgPool(), cr.Linear(4, 1), seed=0)
        found = NetworkRegressor(module=amounts, **options).fit(images, labels).predict(images)
    assert found.shape == (60,)
    with pytest.raises(ValueError, match=r"X must have shape \(n, features\), but .* as module"):
        NetworkClassifier().fit(images, labels)
