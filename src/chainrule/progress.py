"""The progress bar of training."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class TrainingProgress:
    """A bar over all epochs with the latest loss; does nothing where it is not wanted.

    Attributes
    ----------
    an_epoch : int or None
        Rows or batches of an epoch; None until they are known.
    """

    def __init__(self, epochs: int, an_epoch: int | None, *, shown: bool) -> None:
        self._epochs, self.an_epoch = epochs, an_epoch
        self._bar: Progress | None = None
        if shown:  # rich takes a while to load
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeRemainingColumn(),
            )
            self._task = self._bar.add_task(
                "", total=self._total, epoch=1, epochs=epochs, text="compiling or loading"
            )
            self._text = ""

    def __enter__(self) -> TrainingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    @property
    def _total(self) -> int | None:
        return None if self.an_epoch is None else self._epochs * self.an_epoch

    def advance(self, epoch: int, done: int, loss: float) -> None:
        """Show that so many rows, or batches, of an epoch, counted from 0, are done."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                total=self._total,
                completed=epoch * (self.an_epoch or 0) + done,
                epoch=epoch + 1,
                text=f"loss {loss:.4g}{self._text}",
            )

    def validated(self, loss: float, accuracy: float | None) -> None:
        """Show the validation's figures from now on."""
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
            self._bar.stop()
