"""What an estimator is after errors and files, and where its warnings come from."""

import pickle
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor

GOLDEN = runpy.run_path(str(Path(__file__).parents[2] / "test_golden.py"))  # networks of all kinds
X, Y = load_iris(return_X_y=True)
DIVERGES = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e6}
PROBABILITIES = cr.Sequential(cr.Linear(4, 3), cr.Softmax(), seed=0)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def parts(thing, seen=None):
    """Yield all objects that a pickle of ``thing`` is made of."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    yield thing
    if isinstance(thing, dict):
        inner = [*thing, *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        inner = list(thing)
    elif isinstance(thing, str | bytes | int | float | np.generic | np.ndarray | np.dtype | type):
        inner = []
    elif callable(thing) and hasattr(thing, "__qualname__"):
        inner = []  # a function, by its name
    else:
        inner = list(thing.__reduce_ex__(4)[1:])
    for one in inner:
        yield from parts(one, seen)


def assert_plain(thing):
    for part in parts(thing):
        assert not type(part).__module__.startswith(("chainrule.engine", "chainrule.plan")), part
        if isinstance(part, dict):
            assert all(key is None or isinstance(key, str | int | float) for key in part), part


MODELS = {
    "classifier": NetworkClassifier(5, max_iter=3),
    "regressor": NetworkRegressor("poisson", 5, solver="sgd", max_iter=3),
    "lbfgs": NetworkClassifier(5, max_iter=3, solver="lbfgs"),
    "early stopping": NetworkClassifier(5, max_iter=3, early_stopping=True),
    "dropout": NetworkRegressor(cr.HuberLoss(), (5, 4), ["tanh", cr.GELU()], dropout=0.1),
    "module": NetworkClassifier(
        module=cr.Sequential(
            cr.Linear(4, 8), cr.Residual(cr.Linear(8, 8), cr.SiLU()), cr.Linear(8, 3), seed=0
        ),
        class_weight={0: 1.0, 1: 2.0},
    ),
}


@quiet
@pytest.mark.parametrize("kind", MODELS)
def test_saved_state_has_plain_keys_and_no_caches(kind):
    """So that skops, which writes JSON, can save an estimator; and files stay small."""
    model = MODELS[kind].set_params(max_iter=3).fit(X, Y)
    size = len(pickle.dumps(model))
    predicted = model.predict(X)
    model.network_.forward(X)
    model.network_.predict(X[:3])
    assert_plain(model.__getstate__())
    assert len(pickle.dumps(model)) == size
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), predicted)
    if kind in ("classifier", "regressor"):  # it goes on with the optimizer's state
        for one in (model, again):
            one.set_params(random_state=1).partial_fit(X, Y)
        np.testing.assert_array_equal(again.network_.params, model.network_.params)


@quiet
@pytest.mark.parametrize("kind", MODELS)
def test_skops(kind):
    skops = pytest.importorskip("skops.io")
    model = MODELS[kind].set_params(max_iter=3).fit(X, Y)
    blob = skops.dumps(model)
    again = skops.loads(blob, trusted=skops.get_untrusted_types(data=blob))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("case", GOLDEN["CASES"], ids=lambda case: case.name)
def test_saved_state_of_any_network(case):
    net, loss, optimizer = GOLDEN["build"](case, "numba")
    x, y = (GOLDEN["of_each_head"](GOLDEN["GOLDEN"], f"{case.name}/{name}") for name in "xy")
    size = len(pickle.dumps((net, optimizer)))
    _, d_out = loss(net.forward(x), y)
    net.backward(d_out)
    optimizer.step(net)
    net.predict(x)
    assert_plain((net, loss, optimizer))
    again, *_ = pickle.loads(pickle.dumps((net, loss, optimizer)))
    np.testing.assert_equal(again.predict(x), net.predict(x))
    assert size < len(pickle.dumps((net, optimizer))) < size + 3 * net.params.nbytes + 1000


def state(model):
    """Return everything that an estimator holds, as bytes; of the network its parameters."""
    held = vars(model) | ({"network_": model.network_.params} if "network_" in vars(model) else {})
    return {name: pickle.dumps(value) for name, value in held.items()}


BAD_CALLS = {
    "infinite X": (np.full_like(X, np.inf), Y, None, {}),
    "other rows": (X[:9], Y, None, {}),
    "negative weight": (X, Y, np.where(Y == 1, -1.0, 1.0), {}),
    "no weight": (X, Y, np.zeros(len(Y)), {}),
    "numbers as classes": (X, X[:, 0], None, {}),
    "several labels": (X, np.eye(3, dtype=int)[Y], None, {"class_weight": {0: 2.0}}),
    "no class": (X, Y, None, {"class_weight": {7: 2.0}}),
    "sizes": (X, Y, None, {"hidden_layer_sizes": (3, -1)}),
    "module": (X, Y, None, {"module": cr.Sequential(cr.Linear(4, 7))}),
    "parameter": (X, Y, None, {"alpha": -1.0}),
    "divergence": (X * 1e160, Y, None, DIVERGES),
    "divergence in lbfgs": (X * 1e160, Y, None, {"activation": "identity", "solver": "lbfgs"}),
    "divergence before a score": (X * 1e160, Y, None, DIVERGES | {"early_stopping": True}),
}


@quiet
@pytest.mark.parametrize("call", BAD_CALLS)
def test_a_fit_that_fails_leaves_an_estimator_as_it_was(call):
    bad_X, bad_y, weights, options = BAD_CALLS[call]
    model = NetworkClassifier(5, max_iter=3, random_state=0, dtype="float64").set_params(**options)
    message = "non-finite parameter weights" if "divergence" in call else None
    with np.errstate(all="ignore"), pytest.raises((ValueError, TypeError), match=message):
        model.fit(bad_X, bad_y, weights)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError):
        model.predict(X)
    fitted = NetworkClassifier(5, max_iter=3, random_state=0, dtype="float64")
    fitted.fit(X[:, ::-1], np.array(list("abc"))[Y]).set_params(**options)
    before, predicted = state(fitted), fitted.predict(X)
    with np.errstate(all="ignore"), pytest.raises((ValueError, TypeError)):
        fitted.fit(bad_X, bad_y, weights)
    assert state(fitted) == before
    np.testing.assert_array_equal(fitted.predict(X), predicted)


@quiet
@pytest.mark.parametrize("train", ["fit", "partial_fit"])
@pytest.mark.parametrize(("solver", "rate"), [("sgd", 1e6), ("adam", 1e30)])
def test_training_that_goes_on_and_fails_is_taken_back(train, solver, rate):
    options = {"solver": solver, "max_iter": 3, "random_state": 0, "warm_start": True}
    model = NetworkRegressor(hidden_layer_sizes=5, activation="identity", **options).fit(X, Y)
    model.set_params(learning_rate_init=rate, batch_size=10)
    del model._optimizer  # partial_fit goes on with its rate
    before = state(model)
    with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
        getattr(model, train)(X, Y)
    assert caught.value.__cause__.step > 1  # there were steps before
    assert state(model) == before
    model.set_params(learning_rate_init=1e-3)
    getattr(model, train)(X, Y)  # it can go on


def test_steps_that_are_taken_back_leave_no_velocity():
    model = NetworkRegressor(activation="identity", solver="sgd", batch_size=10, random_state=0)
    model.partial_fit(X, Y)
    before = state(model)
    model._optimizer.lr = 1e6
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.partial_fit(X, Y)
    del before["_optimizer"]
    assert state(model) == before
    model.partial_fit(X, Y)


@quiet
def test_epochs_that_are_taken_back_leave_no_losses():
    # With tol=0 the penalty counts, so that each epoch is looked at.
    options = {"solver": "sgd", "activation": "identity", "warm_start": True, "tol": 0.0}
    model = NetworkRegressor(max_iter=3, random_state=0, **options).fit(X, Y)
    model.set_params(learning_rate_init=1e6)
    before = state(model)
    with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
        model.fit(X, Y)
    assert caught.value.__cause__.epoch > 1  # there were losses before
    del before["_optimizer"]
    assert state(model) == before


def test_divergence_after_a_best_score():
    model = NetworkRegressor(**DIVERGES, early_stopping=True, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged in iteration 3: the weights of the best"):
        model.fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 3
    assert np.isnan(model.validation_scores_[-1])
    assert np.isnan(model.loss_)
    # What is kept is what had the best score.
    best = NetworkRegressor(**DIVERGES, early_stopping=True, random_state=0)
    best.set_params(max_iter=1 + int(np.nanargmax(model.validation_scores_)))
    with pytest.warns(ConvergenceWarning, match="hasn't converged"):
        best.fit(X, Y)
    np.testing.assert_array_equal(model.network_.params, best.network_.params)


def test_divergence_without_early_stopping():
    with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
        NetworkRegressor(**DIVERGES).fit(X, Y)
    assert isinstance(caught.value.__cause__, cr.NonFiniteError)  # which says where


WARNINGS = {
    "hasn't converged": lambda: NetworkClassifier(max_iter=2).fit(X, Y),
    "lbfgs failed": lambda: NetworkClassifier(max_iter=2, solver="lbfgs").fit(X, Y),
    "takes them all": lambda: NetworkClassifier(batch_size=999, tol=1e9).fit(X, Y),
    "takes them all ": lambda: NetworkRegressor(batch_size=999).partial_fit(X, Y),
    "diverged": lambda: NetworkRegressor(early_stopping=True, **DIVERGES).fit(X, Y),
    "takes logits": lambda: NetworkClassifier(module=PROBABILITIES, tol=1e9).fit(X, Y),
    "A column-vector": lambda: NetworkClassifier(tol=1e9).fit(X, Y[:, np.newaxis]),
    "A column-vector ": lambda: NetworkRegressor(tol=1e9).fit(X, Y[:, np.newaxis]),
    "A column-vector  ": lambda: NetworkRegressor().partial_fit(X, Y[:, np.newaxis]),
}


@pytest.mark.parametrize("message", WARNINGS)
def test_warnings_belong_to_scikit_learn(message):
    """So that ``filterwarnings("ignore", module="sklearn")``, as in its examples, silences them."""
    with pytest.warns(UserWarning, match=message.strip()) as caught:
        WARNINGS[message]()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="sklearn")
        WARNINGS[message]()


def test_scikit_learns_own_warnings_are_of_that_module_too():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        MLPClassifier(max_iter=2).fit(X, Y)


@quiet
def test_likely_labels_do_not_tie_in_float32():
    """The likeliest label by predict_proba is that by predict_log_proba."""
    labels = np.column_stack([np.ones(len(X), int), Y == 0, np.ones(len(X), int)])
    model = NetworkClassifier(max_iter=3, random_state=0).fit(X, labels)
    model.intercepts_[-1][:] = [17.0, 18.0, 19.0]  # chances that are 1 in float32
    chances, logarithms = model.predict_proba(X), model.predict_log_proba(X)
    assert chances.dtype == logarithms.dtype == np.float64
    assert (chances.astype(np.float32) == 1).all()
    np.testing.assert_array_equal(chances.argmax(axis=1), logarithms.argmax(axis=1))
    np.testing.assert_allclose(np.log(chances), logarithms, rtol=1e-6)


@quiet
@pytest.mark.parametrize("several", [False, True])
def test_the_class_is_the_likelier_one_also_where_chances_are_nearly_even(several):
    y = np.column_stack([Y == 0, Y == 1]).astype(int) if several else Y == 0
    model = NetworkClassifier(4, max_iter=1, random_state=0).fit(X, y)
    model.coefs_[-1][:] = 0
    for logit in (-1e-3, -1e-9, -1e-12, 0.0, 1e-12, 1e-9, 1e-3):
        model.intercepts_[-1][:] = logit
        chances = model.predict_proba(X)
        likelier = chances > 0.5 if several else chances[:, 1] > chances[:, 0]
        np.testing.assert_array_equal(model.predict(X), likelier)
        assert likelier.all() == (logit > 0)


@quiet
@pytest.mark.parametrize("classes", [2, 3])
def test_chances_add_up_in_double(classes):
    model = NetworkClassifier(max_iter=3, random_state=0).fit(X, np.minimum(Y, classes - 1))
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(chances.argmax(axis=1), model.predict(X))


def test_several_labels_after_one():
    model = NetworkClassifier(max_iter=1)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="one label a row, or several"):
        model.partial_fit(X, np.eye(3, dtype=int)[Y])
    model = NetworkClassifier(max_iter=1)
    model.partial_fit(X, np.eye(3, dtype=int)[Y], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="one label a row, or several"):
        model.partial_fit(X, Y)
