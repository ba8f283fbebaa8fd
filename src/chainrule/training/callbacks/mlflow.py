"""MLflow: a training's settings and metrics in a run of MLflow."""

from __future__ import annotations

import time
from typing import Any

from chainrule.training.callbacks.callback import Training
from chainrule.training.callbacks.file_callback import FileCallback
from chainrule.utils.arguments import shortened
from chainrule.utils.optional import from_extra

MOST_METRICS = 1000  # that MLflow takes in a request
MOST_CHARACTERS = 500  # of a parameter, which every tracking server takes


class MLflow(FileCallback):
    """Log settings once, and each metric after each epoch, in the active run of MLflow.

    If no run is active, a run is started for the training and ended with it. The settings are
    ``network``, ``loss``, ``optimizer``, ``batch_size`` and ``epochs``; those that the run has
    already, as from an earlier ``fit``, stay as they are. If metrics cannot be logged, as when the
    server is not reachable, there is one warning in a training, and they are tried again after the
    next epoch.

    Parameters
    ----------
    run_id : str, optional
        The run to log in, instead of the active one. It is not ended.

    Raises
    ------
    ImportError
        Without MLflow: ``pip install "chainrule[mlflow]"``.
    TypeError
        If ``run_id`` is no string.
    mlflow.MlflowException
        In ``fit``, if the settings cannot be logged.

    Examples
    --------
    >>> import chainrule as cr
    >>> import mlflow  # doctest: +SKIP
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     cr.fit(net, X, y, loss=loss, callbacks=[cr.callbacks.MLflow()])
    """

    def __init__(self, run_id: str | None = None) -> None:
        with from_extra("MLflow", "mlflow", "mlflow"):
            from mlflow.exceptions import MlflowException
        if not isinstance(run_id, str | None):
            raise TypeError(f"run_id must be a run's id, not {shortened(run_id)}.")
        self.run_id = run_id
        self._failures = (OSError, MlflowException)
        self._pending: list[Any] = []

    def on_fit_begin(self, training: Training) -> None:
        import mlflow

        super().on_fit_begin(training)
        active, self._client = mlflow.active_run(), mlflow.MlflowClient()
        self._starts_run = self.run_id is None and active is None
        if self._starts_run:
            active = mlflow.start_run()
        self._run = active.info.run_id if self.run_id is None else self.run_id
        self._pending.clear()
        try:
            self._log_settings(training)
        except BaseException:
            self._end_run("FAILED")
            raise

    def _log_settings(self, training: Training) -> None:
        from mlflow.entities import Param

        settings = {
            "network": repr(training.network),
            "loss": repr(training.loss),
            "optimizer": repr(training.optimizer),
            "batch_size": str(training.batch_size),
            "epochs": str(training.epochs),
        }
        known = self._client.get_run(self._run).data.params
        new = [Param(k, v[:MOST_CHARACTERS]) for k, v in settings.items() if k not in known]
        self._client.log_batch(self._run, params=new)

    def on_epoch_end(self, training: Training) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 10**6
        latest = training.history.latest()
        self._pending += [Metric(k, v, now, training.epoch) for k, v in latest.items()]
        self.attempt(self._write)

    def _write(self) -> None:
        while self._pending:
            self._client.log_batch(self._run, metrics=self._pending[:MOST_METRICS])
            del self._pending[:MOST_METRICS]

    def on_fit_end(self, training: Training) -> None:
        if self._pending:
            self.attempt(self._write)
        self._end_run("FINISHED" if training.error is None else "FAILED")

    def _end_run(self, status: str) -> None:
        import mlflow

        if self._starts_run:
            mlflow.end_run(status)

    def __repr__(self) -> str:
        return "MLflow()" if self.run_id is None else f"MLflow({self.run_id!r})"
