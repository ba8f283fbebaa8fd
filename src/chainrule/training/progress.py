"""The progress bar of training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 0.1  # between two updates, which take a millisecond each


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
        self._bar: Progress | None = None
        self._next_drawing = 0.0
        if shown:  # rich takes a while to load
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
                auto_refresh=False,
            )
            self._task = self._bar.add_task(
                "", total=self._total, epoch=1, epochs=epochs, text="compiling or loading"
            )
            self._text = ""

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._draw(self._bar.start)
        return self

    @property
    def _total(self) -> int | None:
        return None if self.an_epoch is None else self._epochs * self.an_epoch

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Show that ``done`` rows, or batches, of this epoch are done; epochs count from 0."""
        if self._bar is None:
            return
        self._bar.update(
            self._task,
            total=self._total,
            completed=epoch * (self.an_epoch or 0) + done,
            epoch=epoch + 1,
            text=f"loss {loss:.4g}{self._text}",
        )
        if perf_counter() >= self._next_drawing:
            self._draw(self._bar.refresh)
            self._next_drawing = perf_counter() + SECONDS

    def validated(self, loss: float, accuracy: float | None) -> None:
        """Show the validation loss and accuracy from now on."""
        self._text = f", validation loss {loss:.4g}"
        if accuracy is not None:
            self._text += f", accuracy {accuracy:.1%}"

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
        console = self._bar.console
        quiet = console.quiet
        try:
            draw()
        except (LiveError, OSError, SystemExit, ValueError) as error:
            cause = error.__context__ if _is_of_a_broken_pipe(error) else error
            if not (isinstance(error, LiveError) or _is_of_the_output(cause)):
                raise
            with suppress(Exception, SystemExit):
                self._bar.stop()  # else the next bar would wait for it
            self._bar, console.quiet = None, quiet
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
