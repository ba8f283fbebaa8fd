"""What weights of rows and classes mean to the estimators."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_class_weight

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.default_rng(0)
ROWS = 24
X = RANDOM.normal(size=(ROWS, 3))
LABELS = np.arange(ROWS) % 3
PROBLEMS = {
    "classes": (NetworkClassifier, LABELS),
    "two classes": (NetworkClassifier, np.where(LABELS == 1, "yes", "no")),
    "labels": (NetworkClassifier, RANDOM.integers(0, 2, (ROWS, 3))),
    "numbers": (NetworkRegressor, X @ [1.0, -2.0, 0.5] + 1),
    "columns": (NetworkRegressor, np.column_stack([X[:, 0], X[:, 1] ** 2])),
    "counts": (lambda **options: NetworkRegressor("poisson", **options), LABELS.astype(float)),
}
SOLVERS = ["sgd", "adam", "lbfgs"]
over_problems = pytest.mark.parametrize("problem", PROBLEMS)
over_solvers = pytest.mark.parametrize("solver", SOLVERS)
any_weights = st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS).filter(any)


def fitted(problem, solver, rows=slice(None), weights=None, **options):
    """Return an estimator after a few steps over all rows at a time, with a large penalty."""
    make, y = PROBLEMS[problem]
    options = {"alpha": 3.0, "learning_rate_init": 0.01} | options
    model = make(
        hidden_layer_sizes=4, activation="tanh", solver=solver, dtype="float64", random_state=0,
        max_iter=8, **options,
    )  # fmt: skip
    return model.fit(X[rows], y[rows], weights)


def assert_same(one, other, rtol=1e-7):
    np.testing.assert_allclose(one.network_.params, other.network_.params, rtol=rtol, atol=rtol)
    assert one.loss_ == pytest.approx(other.loss_, rel=rtol)


@over_solvers
@over_problems
@settings(max_examples=5)
@given(counts=any_weights)
def test_a_weight_of_two_is_two_rows_and_one_of_zero_is_none(problem, solver, counts):
    counts[:3] = [1, 2, 1]  # each class is there
    rows = np.repeat(np.arange(ROWS), counts)
    by_weight = fitted(problem, solver, weights=np.array(counts, float))
    assert_same(by_weight, fitted(problem, solver, rows))
    present = np.flatnonzero(counts)
    assert_same(by_weight, fitted(problem, solver, present, np.array(counts)[present]))


@over_solvers
@over_problems
def test_the_scale_of_weights_is_only_that_of_the_penalty(problem, solver):
    """alpha is a penalty beside the sum over all rows, as in scikit-learn."""
    weights = np.linspace(0.0, 1.0, ROWS)
    model = fitted(problem, solver, weights=weights, alpha=3.0)
    assert_same(model, fitted(problem, solver, weights=100 * weights, alpha=300.0))
    alike = fitted(problem, solver, weights=np.full(ROWS, 7.0), alpha=21.0)
    assert_same(alike, fitted(problem, solver, alpha=3.0))
    unlike = fitted(problem, solver, weights=100 * weights, alpha=3.0)
    assert np.abs(unlike.network_.params - model.network_.params).max() > 1e-4


@over_problems
def test_weights_of_one_are_none(problem):
    for solver in SOLVERS:
        one = fitted(problem, solver, weights=np.ones(ROWS))
        assert_same(one, fitted(problem, solver))


@over_solvers
@pytest.mark.parametrize("problem", ["classes", "two classes"])
def test_weights_of_classes_and_rows_multiply(problem, solver):
    y = PROBLEMS[problem][1]
    names = np.unique(y)
    by_name = dict(zip(names.tolist(), [4.0, 0.5, 2.0], strict=False))
    of_rows = np.linspace(0.1, 3.0, ROWS)
    both = fitted(problem, solver, weights=of_rows, class_weight=by_name)
    assert_same(
        both, fitted(problem, solver, weights=of_rows * [by_name[name] for name in y.tolist()])
    )
    first = {names[0]: 4.0}  # the other classes have 1
    one = fitted(problem, solver, class_weight=first)
    assert_same(one, fitted(problem, solver, weights=np.where(y == names[0], 4.0, 1.0)))


@over_solvers
@pytest.mark.parametrize("problem", ["classes", "two classes"])
@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_is_what_scikit_learn_computes(problem, solver, weighted):
    y, weights = PROBLEMS[problem][1], np.linspace(0.0, 3.0, ROWS) if weighted else None
    names = np.unique(y)
    values = compute_class_weight("balanced", classes=names, y=y, sample_weight=weights)
    by_name = dict(zip(names.tolist(), values.tolist(), strict=True))
    balanced = fitted(problem, solver, weights=weights, class_weight="balanced")
    assert_same(balanced, fitted(problem, solver, weights=weights, class_weight=by_name))


@over_solvers
@settings(max_examples=5)
@given(counts=any_weights)
def test_balanced_counts_weights_as_rows(solver, counts):
    counts[:3] = [1, 2, 1]
    rows = np.repeat(np.arange(ROWS), counts)
    options = {"class_weight": "balanced"}
    by_weight = fitted("classes", solver, weights=np.array(counts, float), **options)
    assert_same(by_weight, fitted("classes", solver, rows, **options))


def test_a_class_without_weight_does_not_count_where_classes_are_balanced():
    weights = np.array([1.0, 2.0, 0.0])[LABELS]
    model = fitted("classes", "lbfgs", weights=weights, class_weight="balanced")
    assert_same(model, fitted("classes", "lbfgs", weights=np.array([1.5, 1.5, 0.0])[LABELS]))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@over_problems
def test_a_batch_without_weight_changes_only_by_the_penalty(problem, solver):
    weights = np.repeat([1.0, 0.0], ROWS // 2)  # of two batches the second has none
    options = {"shuffle": False, "batch_size": ROWS // 2, "alpha": 0.0, "momentum": 0.0}
    model = fitted(problem, solver, weights=weights, **options)
    assert np.isfinite(model.network_.params).all()
    assert np.isfinite(model.loss_curve_).all()
    if solver == "sgd":
        first = fitted(problem, solver, slice(ROWS // 2), **options)
        assert_same(model, first)


@pytest.mark.parametrize("problem", ["classes", "two classes", "numbers", "columns"])
@pytest.mark.parametrize("weighted", [False, True])
def test_held_out_rows_keep_their_weights(problem, weighted):
    """The score that stops early is one of rows that are not trained on, by their weights."""
    make, y = PROBLEMS[problem]
    numbered = np.column_stack([X, np.arange(ROWS)])
    weights = np.linspace(1.0, 5.0, ROWS) if weighted else None
    seen = []

    class Watched(make):
        def _validation_score(self, X, y, sample_weight):
            score = super()._validation_score(X, y, sample_weight)
            seen.append((X, y, sample_weight, score))
            return score

    # A rate of almost 0: the scores are those of the weights that are returned.
    model = Watched(
        early_stopping=True, validation_fraction=0.25, max_iter=3, random_state=0,
        learning_rate_init=1e-12,
    ).fit(numbered, y, weights)  # fmt: skip
    rows = seen[0][0][:, 3].astype(int)
    assert len(rows) == len(set(rows)) == ROWS // 4
    for held, targets, of_rows, score in seen:
        np.testing.assert_array_equal(held[:, 3], rows)
        if weighted:
            np.testing.assert_array_equal(of_rows, weights[rows])
        else:
            assert of_rows is None
        if problem in ("classes", "two classes"):
            np.testing.assert_array_equal(model.classes_[targets], y[rows])
            expected = accuracy_score(y[rows], model.predict(held), sample_weight=of_rows)
        else:
            np.testing.assert_array_equal(targets, y[rows])
            expected = r2_score(y[rows], model.predict(held), sample_weight=of_rows)
        assert score == pytest.approx(expected, rel=1e-5)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_held_out_rows_count_by_their_class():
    """With a weight for classes, the score is weighed as the loss is."""
    y = (LABELS == 1).astype(int)
    options = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 3}
    options |= {"random_state": 0, "learning_rate_init": 1e-12, "dtype": "float64"}
    of_rows = np.linspace(0.5, 2.0, ROWS)
    both = NetworkClassifier(class_weight={1: 9.0}, **options).fit(X, y, of_rows)
    product = NetworkClassifier(**options).fit(X, y, of_rows * np.where(y == 1, 9.0, 1.0))
    assert both.validation_scores_ == product.validation_scores_
    unweighted = NetworkClassifier(**options).fit(X, y, of_rows)
    assert both.validation_scores_ != unweighted.validation_scores_


def test_weights_that_leave_nothing_are_refused():
    y = LABELS
    nothing = np.zeros(ROWS)
    for solver in SOLVERS:
        with pytest.raises(ValueError, match=r"weight"):
            NetworkClassifier(solver=solver).fit(X, y, nothing)
        with pytest.raises(ValueError, match="At least one row must have a weight above 0"):
            NetworkClassifier(solver=solver, class_weight=dict.fromkeys(range(3), 0.0)).fit(X, y)
    for kept in range(ROWS):  # the one that counts is on either side of the split
        nothing[:] = np.arange(ROWS) == kept
        with pytest.raises(ValueError, match="no row with a weight above 0"):
            NetworkRegressor(early_stopping=True, random_state=0).fit(X, X[:, 0], nothing)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ({"ja": 2.0}, ValueError, r"\['ja'\], which are not classes, but lacks \['no', "),
        ({"no": 2.0, "ja": 2.0}, ValueError, r"but lacks \['yes'\]"),
        ({0: 1.0, 1: 2.0}, ValueError, r"\[0, 1\], which are not classes"),
        ({"yes": -1.0}, ValueError, r"class_weight\['yes'\] must be 0 or more, not -1"),
        ({"yes": np.nan}, ValueError, r"class_weight\['yes'\] must be 0 or more"),
        ({"yes": "2"}, TypeError, r"class_weight\['yes'\] must be a number"),
    ],
)
def test_wrong_class_weights(weights, error, message):
    y = PROBLEMS["two classes"][1]
    model = NetworkClassifier(class_weight=weights, max_iter=2)
    with pytest.raises(error, match=message):
        model.fit(X, y)
    with pytest.raises(error, match=message):
        model.partial_fit(X, y, classes=["no", "yes"])
    assert not hasattr(model, "classes_")


def test_class_weights_may_have_more_classes_if_none_is_left_out():
    model = NetworkClassifier(class_weight={"no": 1.0, "yes": 2.0, "unknown": 5.0}, max_iter=2)
    model.fit(X, PROBLEMS["two classes"][1])
    digits = NetworkClassifier(class_weight={"0": 1.0, "1": 2.0}, max_iter=2)
    digits.fit(X, (LABELS == 1).astype(int).astype(str))


def test_partial_fit_cannot_balance_classes():
    model = NetworkClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not for partial_fit"):
        model.partial_fit(X, LABELS, classes=[0, 1, 2])
    assert not hasattr(model, "classes_")


def test_partial_fit_with_weights_of_classes():
    """The weight of a class is the same in each call, also where a class has no rows."""
    X, y = load_iris(return_X_y=True)
    options = {"hidden_layer_sizes": 5, "random_state": 0, "dtype": "float64"}
    by_name = NetworkClassifier(class_weight={0: 3.0, 2: 0.5}, **options)
    by_row = NetworkClassifier(**options)
    for rows in (slice(0, 100), slice(100, 150), slice(25, 75)):
        by_name.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        by_row.partial_fit(X[rows], y[rows], np.array([3.0, 1.0, 0.5])[y[rows]], [0, 1, 2])
    np.testing.assert_array_equal(by_name.network_.params, by_row.network_.params)


@over_solvers
@pytest.mark.parametrize("heads", [1, 2])
def test_a_module_and_a_loss_of_ones_own_have_weights_too(heads, solver):
    last, loss, y = cr.Linear(4, 1), cr.HuberLoss(), X[:, 0] ** 2
    if heads == 2:
        last, loss = cr.Branch(cr.Linear(4, 3), last), cr.MultiLoss(cr.CrossEntropyLoss(), loss)
        y = np.column_stack([LABELS, y])
    module = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), last, seed=0)
    counts = np.arange(ROWS) % 3
    rows = np.repeat(np.arange(ROWS), counts)
    options = {"module": module, "dtype": "float64", "max_iter": 8, "solver": solver, "alpha": 2.0}
    weighted = NetworkRegressor(loss, **options).fit(X, y, counts.astype(float))
    assert_same(weighted, NetworkRegressor(loss, **options).fit(X[rows], y[rows]))
