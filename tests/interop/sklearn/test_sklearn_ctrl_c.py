"""Ctrl-C in the estimators ends loops around them, and leaves them as far as they came."""

import signal
import warnings

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import check_is_fitted

import chainrule as cr
from chainrule.interop.sklearn import NetworkClassifier, NetworkRegressor, solvers

X, Y = load_iris(return_X_y=True)
EXACT = {"hidden_layer_sizes": 5, "random_state": 0, "tol": 0.0}  # no loss is interpolated
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Press(cr.Callback):
    """Presses Ctrl-C at the end of the given epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, training):
        if len(training.history.loss) == self.epoch:
            signal.raise_signal(signal.SIGINT)


def press_in(patch, number):
    """Press Ctrl-C in that epoch, or iteration of lbfgs."""
    minimize = scipy.optimize.minimize

    def pressed_fit(*arguments, callbacks, **options):
        return cr.fit(*arguments, callbacks=[*callbacks, Press(number)], **options)

    def pressed_minimize(*arguments, callback, **options):
        iterations = iter(range(1, 10**6))

        def after_iteration(theta):
            if next(iterations) == number:
                signal.raise_signal(signal.SIGINT)
            callback(theta)

        return minimize(*arguments, callback=after_iteration, **options)

    patch.setattr(solvers, "fit", pressed_fit)
    patch.setattr(scipy.optimize, "minimize", pressed_minimize)


@pytest.mark.parametrize("loop", ["for", "cross_val_score"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_ctrl_c_ends_a_loop_of_trainings(loop, solver, monkeypatch):
    model, trainings = NetworkClassifier(5, solver=solver), []

    def score(trained, X, y):
        trainings.append(trained)
        return trained.score(X, y)

    def run():
        if loop == "cross_val_score":
            cross_val_score(model, X, Y, scoring=score, error_score=np.nan)
        for _ in range(3):
            score(model.fit(X, Y), X, Y)

    press_in(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(trainings) == 0


@quiet
@pytest.mark.parametrize(
    "model",
    [
        NetworkClassifier(**EXACT),
        NetworkClassifier(**EXACT, early_stopping=True),
        NetworkRegressor(**EXACT, solver="sgd"),
        NetworkRegressor(**EXACT, solver="lbfgs"),
    ],
)
@pytest.mark.parametrize("refit", [False, True])
def test_an_estimator_is_fitted_as_far_as_it_came(model, refit, monkeypatch):
    model, short = clone(model), clone(model).set_params(max_iter=3)
    if refit:
        model.set_params(max_iter=1).fit(X[::-1], Y).set_params(max_iter=200)
    short.fit(X, Y)
    press_in(monkeypatch, 3)
    message = r"after 3 iterations\. .* used as it is"
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(KeyboardInterrupt, match=message) as caught,
    ):
        model.fit(X, Y)
    assert caught.type is KeyboardInterrupt
    assert model.n_iter_ == 3
    assert model.loss_ == short.loss_
    np.testing.assert_array_equal(model.network_.params, short.network_.params)
    np.testing.assert_array_equal(model.predict(X), short.predict(X))


def test_partial_fit_goes_on_after_ctrl_c(monkeypatch):
    model, other = (NetworkClassifier(5, random_state=0) for _ in range(2))
    other.partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    with monkeypatch.context() as patch:
        press_in(patch, 1)
        with pytest.raises(KeyboardInterrupt, match=r"after 1 iteration\."):
            model.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.n_iter_ == len(model.loss_curve_) == 1
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.network_.params, other.network_.params)


def test_an_interrupt_at_any_other_moment_leaves_an_estimator_as_it_was(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt  # as a second Ctrl-C

    monkeypatch.setattr(solvers, "fit", interrupted)
    model = NetworkClassifier(5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
