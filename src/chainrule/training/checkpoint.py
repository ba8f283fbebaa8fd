"""Checkpoints: where a training is kept, and when."""

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

SHARE = 0.03  # of the time, at most, that is spent on writing where only a path was given


@dataclass(frozen=True)
class Checkpoint:
    """Where :func:`fit` keeps its state, and how often, so that it can go on from there.

    It is written before the first step, so that a path that cannot be written is found out at once;
    then as often as asked; and at the end, after Ctrl-C too.

    Parameters
    ----------
    path : path of the file
        A safetensors file. It is replaced, whole, each time.
    epochs : int or None
        Write after so many epochs, and again after so many.
    minutes : float or None
        Write after so many minutes, and again after so many; within an epoch, too.

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
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"Checkpoint's path must be a path, not {self.path!r}.")
        if self.epochs is None and self.minutes is None:
            raise ValueError("Checkpoint needs epochs or minutes: how often to write.")
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
        A path: after epochs, as often as :data:`SHARE` allows.
    training : Training
    write : function
        Writes the training as it is now; may raise OSError, or ValueError if there is something
        that could not be gone on from.
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
        self._share = inf if exact else SHARE
        self._training, self._write = training, write
        self._cost = 0.0
        self._note()

    def _note(self) -> None:
        self._written = perf_counter()
        self._kept = self._state()

    def _state(self) -> tuple[int, int, bool]:
        return self._training.epoch, self._training.step, self._training.asked_to_stop

    @property
    def most_epochs(self) -> float:  # type: ignore[override]
        """How many epochs may run until a checkpoint is due."""
        return inf if self._epochs is None else self._epochs - self._training.epoch % self._epochs

    def first(self) -> None:
        """Write before the first step; errors are the caller's."""
        started = perf_counter()
        self._write()
        self._note()
        self._cost = self._written - started

    def after_slice(self) -> None:
        """Write within an epoch, if so many minutes are over."""
        if perf_counter() >= self._written + self._seconds:
            self._try()

    def after_epochs(self) -> None:
        """Write after an epoch, if it is time."""
        due = self._epochs is not None and self._training.epoch % self._epochs == 0
        wait = min(self._seconds, inf if self._share == inf else self._cost / self._share)
        if due or perf_counter() >= self._written + wait:
            self._try()

    def last(self) -> None:
        """Write at the end, what is not yet written."""
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
                f"still has what was kept after {epoch} epochs and {step} steps; the network in "
                "memory is as far as the training.",
                RuntimeWarning,
                stacklevel=2,
            )
