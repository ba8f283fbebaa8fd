"""The progress bar of training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol

from chainrule.training.callbacks import Training
from chainrule.training.notebook_bar import NotebookBar, is_notebook
from chainrule.training.started_epochs import StartedEpochs

SECONDS = 0.1  # between two updates, which take a millisecond each


class Bar(Protocol):
    """Where progress is drawn."""

    def set(self, epoch: int, completed: int, total: int | None, text: str) -> None: ...
    def start(self) -> None: ...
    def refresh(self) -> None: ...
    def stop(self) -> None: ...
    def give_up(self) -> None: ...


def _make_bar(epochs: int) -> Bar:
    if is_notebook():
        return NotebookBar(epochs)
    from chainrule.training.terminal_bar import TerminalBar  # rich takes a while to load

    return TerminalBar(epochs)


class TrainingProgress:
    """A progress bar over all epochs with the latest loss; does nothing unless ``shown``.

    If it cannot be drawn, because the output is closed or full, there is one warning, and the
    training continues without it. The thread that trains draws it, so that errors are caught here.

    Attributes
    ----------
    an_epoch : int or None
        Rows or batches of an epoch; None until they are known.
    """

    def __init__(self, epochs: int, an_epoch: int | None, *, shown: bool) -> None:
        self._epochs, self.an_epoch = epochs, an_epoch
        self._bar = _make_bar(epochs) if shown else None
        self._next_drawing = 0.0
        self._epoch, self._completed = 0, 0
        self._loss = self._validation = ""

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._set()
            self._draw(self._bar.start)
        return self

    @property
    def _total(self) -> int | None:
        return None if self.an_epoch is None else self._epochs * self.an_epoch

    def resume(self, training: Training, started: StartedEpochs) -> None:
        """Show how far a resumed training is."""
        history = training.history
        if history.validation_loss:
            accuracy = history.validation_accuracy
            self.validated(history.validation_loss[-1], accuracy[-1] if accuracy else None)
        if started.rows:
            self.advance(training.epoch, started.rows, started.loss)
        elif history.loss:
            self.advance(training.epoch - 1, self.an_epoch or 0, history.loss[-1])

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Show that ``done`` rows, or batches, of this epoch are done; epochs count from 0."""
        if self._bar is None:
            return
        self._epoch, self._completed = epoch, epoch * (self.an_epoch or 0) + done
        self._loss = f"loss {loss:.4g}"
        self._set()
        if perf_counter() >= self._next_drawing:
            self._draw(self._bar.refresh)
            self._next_drawing = perf_counter() + SECONDS

    def validated(self, loss: float, accuracy: float | None) -> None:
        """Show the validation loss and accuracy from now on."""
        self._validation = f", validation {loss:.4g}"
        if accuracy is not None:
            self._validation += f", accuracy {accuracy:.1%}"
        self._set()

    def _set(self) -> None:
        if self._bar is not None:
            text = self._loss + self._validation
            self._bar.set(self._epoch + 1, self._completed, self._total, text)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._draw(self._bar.stop)

    def _draw(self, draw: Callable[[], Any]) -> None:
        from rich.errors import LiveError

        assert self._bar is not None
        try:
            draw()
        except (LiveError, OSError, SystemExit, ValueError) as error:
            cause = error.__context__ if _is_of_a_broken_pipe(error) else error
            if not (isinstance(error, LiveError) or _is_of_the_output(cause)):
                raise
            self._bar.give_up()
            self._bar = None
            warnings.warn(
                f"The progress bar could not be drawn ({cause}); training continues without it.",
                RuntimeWarning,
                stacklevel=2,
            )


def _is_of_a_broken_pipe(error: BaseException) -> bool:
    """Tell whether rich raised this SystemExit because a pipe is closed."""
    return isinstance(error.__context__, BrokenPipeError)


def _is_of_the_output(error: BaseException | None) -> bool:
    """Tell whether writing raised this, rather than the handler of a signal."""
    if isinstance(error, OSError):
        return error.errno is not None
    return isinstance(error, UnicodeError) or bool(getattr(sys.stdout, "closed", False))
