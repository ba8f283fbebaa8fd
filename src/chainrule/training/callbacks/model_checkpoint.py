"""ModelCheckpoint: saves the network while it trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from chainrule.models.architecture import describe
from chainrule.models.sequential import Sequential
from chainrule.training.callbacks.callback import Training
from chainrule.training.callbacks.file_callback import FileCallback
from chainrule.training.callbacks.monitor import Monitor
from chainrule.utils.arguments import flag
from chainrule.utils.files import check_path, check_writable, is_special


class ModelCheckpoint(FileCallback):
    """Save the network after each epoch that is the best so far, or after each.

    Files are written atomically by :meth:`Sequential.save`, and :func:`load` reads them. If a path
    cannot be written to before the first step, that is an error; later, as on a full disk, there is
    one warning in a training.

    If the same object is used in another training, it keeps its best value, whose file it would
    overwrite.

    Parameters
    ----------
    path : path
        The file. Braces are replaced by the epoch, from 1, and by the training's metrics:
        ``"net-{epoch:03d}-{validation_loss:.3f}.safetensors"``. Missing folders are made.
    monitor : str
        The metric by which epochs are compared, as in :class:`EarlyStopping`.
    mode : "min" or "max", optional
        As in :class:`EarlyStopping`.
    best_only : bool
        Whether to save only after the best epochs, or after each epoch.

    Attributes
    ----------
    best : float
        The best value so far.
    best_path : str or None
        The file of the best epoch.

    Examples
    --------
    >>> import tempfile
    >>> import chainrule as cr
    >>> X, y = cr.datasets.load_digits()
    >>> net = cr.Sequential(cr.Linear(64, 10), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saving = cr.callbacks.ModelCheckpoint(f"{folder}/best.safetensors", monitor="loss")
    ...     history = cr.fit(net, X, y, loss=cr.CrossEntropyLoss(), epochs=2,
    ...                      callbacks=[saving], progress=False)
    ...     best = cr.load(saving.best_path)
    >>> bool((best.params == net.params).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        *,
        mode: str | None = None,
        best_only: bool = True,
    ) -> None:
        self._pattern = check_path(path, "ModelCheckpoint's path")
        self._monitor = Monitor(monitor, mode)
        self.best_only = flag(best_only, "best_only")
        self.best, self.best_path = self._monitor.worst, None  # type: float, str | None

    def on_fit_begin(self, training: Training) -> None:
        super().on_fit_begin(training)
        describe(training.network.layers)  # raises for layers that cannot be saved
        if self.best_only or self._monitor.name in training.metric_names:
            self._monitor.check(training)
        try:
            self._pattern.format(epoch=1, **dict.fromkeys(training.metric_names, 1.0))
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(("epoch", *training.metric_names))
            raise ValueError(
                f"path is {self._pattern!r}, but a name in braces must be one of {known} "
                f"({type(error).__name__}: {error})."
            ) from None
        if not is_special(self._pattern):
            known, brace, _ = self._pattern.partition("{")
            path = known + brace
            os.makedirs(os.path.dirname(os.path.realpath(path)), exist_ok=True)
            check_writable(path)

    def on_epoch_end(self, training: Training) -> None:
        metrics = training.history.latest()
        value = self._monitor.value(training)
        is_best = self._monitor.improves(value, self.best)
        if self.best_only and not is_best:
            return
        path = Path(self._pattern.format(epoch=training.epoch, **metrics))
        if self.attempt(lambda: self._save(training.network, path)) and is_best:
            self.best, self.best_path = value, str(path)

    @staticmethod
    def _save(network: Sequential, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        network.save(path)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_path": self.best_path}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.best_path = float(state["best"]), state["best_path"]

    def __repr__(self) -> str:
        return f"ModelCheckpoint({self._pattern!r}, monitor={self._monitor.name!r})"
