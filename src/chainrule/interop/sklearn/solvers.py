"""The solvers: epochs of chainrule's fit with scikit-learn's rules for stopping, and L-BFGS-B."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from math import nan
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from chainrule.interop.scipy import objective
from chainrule.interop.sklearn.build import weights_of
from chainrule.interop.sklearn.fitted import FittedNetwork
from chainrule.interop.sklearn.fitting import FIT_FRAMES, FitInterrupted
from chainrule.optimizers import SGD, Adam, Optimizer
from chainrule.training import fit
from chainrule.training.callbacks import Callback, Training
from chainrule.training.errors import NonFiniteError
from chainrule.utils.interruption import interruption
from chainrule.utils.wording import plural

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
SMALLEST_RATE = 1e-6  # at which an adaptive learning rate gives up


def make_optimizer(estimator: FittedNetwork) -> Optimizer:
    """Return the optimizer that an estimator's parameters describe."""
    rate = estimator.learning_rate_init
    if estimator.solver == "sgd":
        nesterov = estimator.nesterovs_momentum and estimator.momentum > 0
        return SGD(rate, momentum=estimator.momentum, nesterov=nesterov)
    return Adam(rate, betas=(estimator.beta_1, estimator.beta_2), eps=estimator.epsilon)


def fit_epochs(
    estimator: FittedNetwork,
    X: NDArray[Any],
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    validation: tuple[Any, Any, Any] | None,
    epochs: int,
    seed: int,
) -> bool:
    """Train with mini-batches; return whether the training ended before the last epoch.

    After Ctrl-C, FitInterrupted is raised.
    """
    rows, wanted = len(X), estimator.batch_size
    batch = min(200 if wanted == "auto" else wanted, rows)
    if wanted != "auto" and wanted > rows:  # a warning, as in scikit-learn
        warnings.warn(
            f"batch_size is {wanted}, but there are only {rows} rows: each step takes them all.",
            stacklevel=FIT_FRAMES + 2,
        )
    weight = 1.0 if sample_weight is None else float(np.mean(sample_weight))
    decay = estimator.alpha / (batch * weight)
    optimizer = estimator._optimizer
    weights = weights_of(estimator.network_)
    optimizer.weight_decay = dict.fromkeys(weights, decay) or 0.0
    watch = _Watch(estimator, rows, -(-rows // batch), list(weights.values()), decay, validation)
    interrupted, failure = False, None
    try:
        history = fit(
            estimator.network_,
            X,
            y,
            loss=estimator._loss,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch,
            shuffle=estimator.shuffle,
            seed=seed,
            sample_weight=sample_weight,
            callbacks=[watch],
            progress=bool(estimator.verbose),
            interrupt="stop",  # the exception follows when the estimator is consistent
        )
        interrupted = history.interrupted
    except NonFiniteError as error:
        failure = error
    if validation is not None and (interrupted or estimator.best_validation_score_ > -np.inf):
        estimator.network_.values[:] = watch.best
    elif failure is not None or validation is not None:
        raise ValueError(NON_FINITE) from failure
    if interrupted:
        raise FitInterrupted(estimator.n_iter_)
    if failure is not None:
        watch.note_divergence()
        warnings.warn(
            f"Training diverged in iteration {estimator.n_iter_}: the weights of the best "
            "validation score are kept. A smaller learning_rate_init may help.",
            ConvergenceWarning,
            stacklevel=FIT_FRAMES + 2,
        )
    return failure is not None or watch.converged or estimator.n_iter_ < epochs


class _Watch(Callback):
    """Checks each epoch's loss, or validation score, for convergence as scikit-learn does."""

    def __init__(
        self,
        estimator: FittedNetwork,
        rows: int,
        steps: int,
        weights: list[NDArray[Any]],
        decay: float,
        validation: tuple[Any, Any, Any] | None,
    ) -> None:
        self.estimator, self.rows, self.weights, self.decay = estimator, rows, weights, decay
        self.middle = (steps - 1) / (2 * steps)  # the mean position of an epoch's steps in it
        self.validation, self.converged = validation, False
        self.best = estimator.network_.values.copy()
        self.changes_rate = estimator.solver == "sgd" and estimator.learning_rate == "invscaling"
        self.penalty = penalty_on(self.weights, self.decay)

    def next_epoch(self, epoch: int) -> float:
        estimator = self.estimator
        # A penalty of less than tol has no effect on convergence, so it may be interpolated.
        if self.validation is not None or self.changes_rate or self.penalty > estimator.tol:
            return epoch + 1
        # The first epoch that may be the last one, if none until then is better.
        patience: float = estimator.n_iter_no_change - estimator._no_improvement_count
        return epoch + patience + 1

    def on_epoch_end(self, training: Training) -> None:
        losses = training.history.loss[self.estimator.n_iter_ :]
        before, self.penalty = self.penalty, penalty_on(self.weights, self.decay)
        # Of epochs that ran in one call, only the weights after the last one are known.
        for number, loss in enumerate(losses):
            position = (number + self.middle) / len(losses)
            self._check_epoch(loss, (1 - position) * before + position * self.penalty, training)

    def _check_epoch(self, loss: float, penalty: float, training: Training) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        estimator.loss_ = loss * estimator._loss_factor + penalty
        estimator.loss_curve_.append(estimator.loss_)
        better = self._loss_is_better() if self.validation is None else self._score_is_better()
        estimator._no_improvement_count = 0 if better else estimator._no_improvement_count + 1
        if self.changes_rate:
            # A limit: smaller factors have no effect, but make the rescaled velocity too large.
            least = float(np.finfo(estimator.dtype).eps) ** 2
            factor = max((estimator.t_ + 1) ** -estimator.power_t, least)
            _set_rate(training, estimator.learning_rate_init * factor)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._give_up(training)

    def note_divergence(self) -> None:
        """Record an epoch in which the loss was not finite."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = nan
        estimator.loss_curve_.append(nan)
        estimator.validation_scores_.append(nan)

    def _loss_is_better(self) -> bool:
        estimator, loss = self.estimator, self.estimator.loss_
        better = loss <= estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(loss, estimator.best_loss_)
        return bool(better)

    def _score_is_better(self) -> bool:
        assert self.validation is not None
        estimator = self.estimator
        score = estimator._validation_score(*self.validation)
        estimator.validation_scores_.append(score)
        better = not score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best[:] = estimator.network_.values
        return better

    def _give_up(self, training: Training) -> None:
        estimator, optimizer = self.estimator, training.optimizer
        adaptive = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        if adaptive and optimizer.lr > SMALLEST_RATE:
            _set_rate(training, optimizer.lr / 5)
            estimator._no_improvement_count = 0
            return
        self.converged = True
        training.stop()


def _set_rate(training: Training, rate: float) -> None:
    """Set the learning rate of SGD for the gradients to come, but not for those in its velocity.

    Scikit-learn's velocity is a sum of gradients, each times the rate of its step; that of
    :class:`SGD` is one of gradients, and all of it is multiplied by the present rate.
    """
    optimizer = training.optimizer
    optimizer.state(training.network).vectors *= optimizer.lr / rate
    optimizer.lr = rate


def penalty_on(weights: Iterable[NDArray[Any]], decay: float) -> float:
    """Return the penalty on weights, a term of the loss."""
    return 0.5 * decay * sum(float(np.vdot(w, w)) for w in weights)


def fit_lbfgs(
    estimator: FittedNetwork,
    X: NDArray[Any],
    y: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> None:
    """Train on all rows at once, in float64, with SciPy's L-BFGS-B.

    After Ctrl-C, FitInterrupted is raised.
    """
    net = estimator.network_
    total = len(X) if sample_weight is None else float(np.sum(sample_weight))
    decay = estimator.alpha / total
    penalties = dict.fromkeys(weights_of(net), decay)
    goal = objective(net, estimator._loss, X, y, sample_weight, weight_decay=penalties)

    def function(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        if not np.isfinite(theta).all():  # from a gradient so large that a step has no length
            raise ValueError(NON_FINITE)
        return goal.fun(theta)

    with interruption() as stop:

        def after_iteration(theta: NDArray[np.float64]) -> None:
            if stop.requested:
                raise StopIteration

        result = scipy.optimize.minimize(
            function,
            goal.start,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options={
                "maxfun": estimator.max_fun,
                "maxiter": estimator.max_iter,
                "gtol": estimator.tol,
            },
        )
        interrupted = stop.answer()
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    if result.status != 0 and not interrupted:
        warnings.warn(
            f"lbfgs failed to converge after {plural(estimator.n_iter_, 'iteration')} "
            f"(status={result.status}): {result.message}",
            ConvergenceWarning,
            stacklevel=FIT_FRAMES + 2,
        )
    with np.errstate(over="ignore"):
        params = result.x.astype(net.dtype)
    if not np.isfinite(params).all():
        raise ValueError(NON_FINITE)
    net.params = params
    penalty = penalty_on(weights_of(net).values(), decay)
    estimator.loss_ = (float(result.fun) - penalty) * estimator._loss_factor + penalty
    if interrupted:
        raise FitInterrupted(estimator.n_iter_)
