"""EarlyStopping: ends a training that no longer improves."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.training.callbacks.callback import Callback, Training
from chainrule.training.callbacks.monitor import Monitor
from chainrule.utils.arguments import flag, integer
from chainrule.utils.arrays import FloatArray, all_finite


class EarlyStopping(Callback):
    """Stop when a metric has not improved for some epochs, and restore the best parameters.

    Parameters
    ----------
    monitor : str
        ``"validation_loss"``, ``"validation_accuracy"``, ``"loss"``, or ``"validation_"`` and the
        name of one of ``fit``'s metrics.
    patience : int
        The number of epochs without an improvement after which the training stops, at least 1.
    min_delta : float
        Smaller improvements do not count; 0 or more.
    mode : "min" or "max", optional
        Whether smaller or larger values are better. By default, it is deduced from the metric's
        name: "min" for losses and errors (also "mae", "rmse", "deviance", "nll"), "max" for
        accuracies and scores (also "r2", "f1", "auc", "precision").
    restore_best : bool
        Whether the best epoch's parameters and buffers are restored at the end: also after Ctrl-C,
        after the last epoch, and after an error, such as a :class:`NonFiniteError`. The optimizer's
        state stays that of the last step.

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        Its epoch, counted from 1; 0 before the first.
    stopped_epoch : int or None
        The epoch after which it stopped the training.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``mode`` is required and not given.

    References
    ----------
    Prechelt, *Early Stopping - But When?*, in Neural Networks: Tricks of the Trade, 1998.

    Examples
    --------
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 32), cr.ReLU(), cr.Linear(32, 10), seed=0)
    >>> stopping = cr.callbacks.EarlyStopping("validation_accuracy", patience=2)
    >>> history = cr.fit(net, X[:1500], y[:1500], loss=cr.CrossEntropyLoss(), epochs=100,
    ...                  optimizer=cr.Adam(lr=0.01), validation=(X[1500:], y[1500:]),
    ...                  callbacks=[stopping], progress=False)
    >>> stopping.stopped_epoch == stopping.best_epoch + 2 == len(history.loss)
    True
    >>> stopping.best == cr.metrics.accuracy(y[1500:], net.predict(X[1500:]))
    True
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 10,
        *,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        self._monitor = Monitor(monitor, mode, min_delta)
        self.patience = integer(patience, "patience", least=1)
        self.restore_best = flag(restore_best, "restore_best")
        self._forget()

    def _forget(self) -> None:
        self.best, self.best_epoch = self._monitor.worst, 0
        self.stopped_epoch: int | None = None
        self._waited = 0
        self._best_values: FloatArray | None = None

    def on_fit_begin(self, training: Training) -> None:
        self._monitor.check(training)
        self._shape, self._dtype = training.network.values.shape, training.network.dtype
        if training.epoch == 0:  # a resumed training continues with its restored state
            self._forget()

    def on_epoch_end(self, training: Training) -> None:
        value = self._monitor.value(training)
        if self._monitor.improves(value, self.best):
            self.best, self.best_epoch, self._waited = value, training.epoch, 0
            if self.restore_best:
                self._best_values = training.network.values.copy()
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.stopped_epoch = training.epoch
            training.stop()

    def on_fit_end(self, training: Training) -> None:
        if self._best_values is None:
            return
        training.network.values[:] = self._best_values
        training.network.invalidate_forward("EarlyStopping")
        if training.error is not None:
            training.error.add_note(f"EarlyStopping restored the best epoch, {self.best_epoch}.")

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "waited": self._waited,
        }
        if self._best_values is not None:
            state["best_params"] = self._best_values.copy()  # the name is that of former files
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._forget()
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        stopped, self._waited = state["stopped_epoch"], int(state["waited"])
        self.stopped_epoch = None if stopped is None else int(stopped)
        params = state.get("best_params")
        if params is not None:
            if (params.shape, params.dtype) != (self._shape, self._dtype) or not all_finite(params):
                raise ValueError("best_params do not have the network's shape and dtype.")
            self._best_values = np.array(params)

    def __repr__(self) -> str:
        text = f"EarlyStopping({self._monitor.name!r}, patience={self.patience})"
        if self.best_epoch:
            text += f": best {self.best:.4g} in epoch {self.best_epoch}"
        if self.stopped_epoch is not None:
            text += f", stopped after epoch {self.stopped_epoch}"
        return text
