"""OptunaPruning: ends an unpromising trial of an Optuna study early."""

from __future__ import annotations

from typing import Any

from chainrule.training.callbacks.callback import Callback, Training
from chainrule.training.callbacks.monitor import Monitor, mode_of
from chainrule.utils.arguments import shortened
from chainrule.utils.optional import from_extra

DIRECTIONS = {"min": "MINIMIZE", "max": "MAXIMIZE"}


class OptunaPruning(Callback):
    """Report a metric to an Optuna trial after each epoch, and end the trial if it is pruned.

    When the study's pruner decides so, ``fit`` raises ``optuna.TrialPruned``, which the study
    expects from its objective function. The study's direction says which values are better.

    Parameters
    ----------
    trial : optuna.Trial
        What Optuna passes to the objective function. A ``FixedTrial`` is never pruned.
    monitor : str
        ``"validation_loss"``, ``"validation_accuracy"``, ``"loss"``, or ``"validation_"`` and the
        name of one of ``fit``'s metrics.

    Raises
    ------
    ImportError
        Without Optuna: ``pip install "chainrule[optuna]"``.
    TypeError
        If ``trial`` is no trial, or ``monitor`` no string.
    ValueError
        If the study has several objectives, or minimizes a metric whose name says that larger
        values are better, or the reverse; in ``fit``, if the training has no such metric.

    Examples
    --------
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> def objective(trial):
    ...     width = trial.suggest_int("width", 8, 64, log=True)
    ...     net = cr.Sequential(cr.Linear(64, width), cr.ReLU(), cr.Linear(width, 10), seed=0)
    ...     history = cr.fit(net, X[:1500], y[:1500], loss=cr.CrossEntropyLoss(), epochs=20,
    ...                      validation=(X[1500:], y[1500:]), progress=False,
    ...                      callbacks=[cr.callbacks.OptunaPruning(trial)])
    ...     return history.validation_loss[-1]
    >>> import optuna  # doctest: +SKIP
    >>> study = optuna.create_study(pruner=optuna.pruners.MedianPruner())  # doctest: +SKIP
    >>> study.optimize(objective, n_trials=50,
    ...                catch=(cr.NonFiniteError,))  # doctest: +SKIP
    """

    def __init__(self, trial: Any, monitor: str = "validation_loss") -> None:
        with from_extra("OptunaPruning", "Optuna", "optuna"):
            from optuna import TrialPruned
            from optuna.trial import BaseTrial
        if not isinstance(trial, BaseTrial):
            raise TypeError(f"trial must be an Optuna trial, not {shortened(trial)}.")
        study = getattr(trial, "study", None)  # a FixedTrial has none
        directions = [] if study is None else [direction.name for direction in study.directions]
        if len(directions) > 1:
            raise ValueError(f"Optuna prunes with one objective, but this study has {directions}.")
        known = None if not isinstance(monitor, str) else mode_of(monitor)
        if directions and known is not None and DIRECTIONS[known] != directions[0]:
            raise ValueError(
                f"monitor is {monitor!r}, but the study's direction is {directions[0]}: "
                f'create_study(direction="{DIRECTIONS[known].lower()}").'
            )
        # The study compares the values; any mode does.
        self._monitor = Monitor(monitor, known or "min")
        self._trial, self._pruned = trial, TrialPruned

    def on_fit_begin(self, training: Training) -> None:
        self._monitor.check(training)

    def on_epoch_end(self, training: Training) -> None:
        value = self._monitor.value(training)
        self._trial.report(value, step=training.epoch)
        if self._trial.should_prune():
            raise self._pruned(
                f"Pruned after epoch {training.epoch}: {self._monitor.name} = {value:.6g}."
            )

    def __repr__(self) -> str:
        return f"OptunaPruning({self._trial!r}, {self._monitor.name!r})"
