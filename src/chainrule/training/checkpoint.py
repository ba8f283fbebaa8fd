"""Checkpoints: where and when the state of a training is written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any

from chainrule.training.callbacks import Training
from chainrule.utils.arguments import above_zero, integer
from chainrule.utils.files import check_path

TIME_FRACTION = 0.03  # the largest fraction of the time for writing, if only a path is given


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often :func:`fit` writes its state, from which it can be resumed.

    The file is written before the first step, so that a path that cannot be written is an error at
    once; then as often as specified; and at the end, also after Ctrl-C.

    Parameters
    ----------
    path : path of the file
        A safetensors file, replaced atomically each time.
    epochs : int or None
        Number of epochs between two writes.
    minutes : float or None
        Minutes between two writes, which may come within an epoch.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or neither epochs nor minutes are given.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Checkpoint("run.safetensors", epochs=None, minutes=10)
    Checkpoint(path='run.safetensors', epochs=None, minutes=10.0)
    """

    path: str | os.PathLike[str]
    epochs: int | None = 1
    minutes: float | None = None

    def __post_init__(self) -> None:
        check_path(self.path, "Checkpoint's path")
        if self.epochs is None and self.minutes is None:
            raise ValueError("Checkpoint needs epochs or minutes between two writes.")
        for name, check in (("epochs", _epochs), ("minutes", above_zero)):
            value: Any = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check(value, f"Checkpoint's {name}"))


def _epochs(value: Any, name: str) -> int:
    return integer(value, name, least=1)


class NoSaver:
    """Writes no checkpoints."""

    most_epochs = inf

    def after_slice(self) -> None:
        """Do nothing within an epoch."""

    def after_epochs(self) -> None:
        """Do nothing after an epoch."""

    def last(self) -> None:
        """Do nothing at the end."""


class Saver(NoSaver):
    """Writes checkpoints of one training when it is time.

    Parameters
    ----------
    checkpoint : Checkpoint or path
        With a path, it is written after epochs, as often as :data:`TIME_FRACTION` allows.
    training : Training
    write : function
        Writes the training's present state; may raise OSError, or ValueError if the state could
        not be resumed from.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | str | os.PathLike[str],
        training: Training,
        write: Callable[[], None],
    ) -> None:
        exact = isinstance(checkpoint, Checkpoint)
        self._path = checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint
        self._epochs = checkpoint.epochs if isinstance(checkpoint, Checkpoint) else None
        minutes = checkpoint.minutes if isinstance(checkpoint, Checkpoint) else None
        self._seconds = inf if minutes is None else 60 * minutes
        self._time_fraction = inf if exact else TIME_FRACTION
        self._training, self._write = training, write
        self._cost = 0.0
        self._note()

    def _note(self) -> None:
        self._written = perf_counter()
        self._kept = self._state()

    def _state(self) -> tuple[int, int, bool]:
        return self._training.epoch, self._training.step, self._training.stop_requested

    @property
    def most_epochs(self) -> float:  # type: ignore[override]
        """How many epochs may run until a checkpoint is due."""
        return inf if self._epochs is None else self._epochs - self._training.epoch % self._epochs

    def first(self) -> None:
        """Write before the first step; errors are raised."""
        started = perf_counter()
        self._write()
        self._note()
        self._cost = self._written - started

    def after_slice(self) -> None:
        """Write within an epoch, if the minutes between two writes are over."""
        if perf_counter() >= self._written + self._seconds:
            self._try()

    def after_epochs(self) -> None:
        """Write after an epoch, if a write is due."""
        due = self._epochs is not None and self._training.epoch % self._epochs == 0
        by_cost = inf if self._time_fraction == inf else self._cost / self._time_fraction
        if due or perf_counter() >= self._written + min(self._seconds, by_cost):
            self._try()

    def last(self) -> None:
        """Write at the end, if the state has changed since the last write."""
        if self._state() != self._kept:
            self._try()

    def _try(self) -> None:
        try:
            self.first()
        except (OSError, ValueError) as error:
            epoch, step, _ = self._kept
            self._written = perf_counter()  # the next attempt is due as if this one had succeeded
            warnings.warn(
                f"The checkpoint {os.fspath(self._path)} could not be written: {error}. The file "
                f"still has the state after {epoch} epochs and {step} steps; the network in memory "
                "is up to date.",
                RuntimeWarning,
                stacklevel=2,
            )
