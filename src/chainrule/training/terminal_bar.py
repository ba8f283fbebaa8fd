"""The progress bar of training on a terminal; in a file or a pipe, its last state."""

from __future__ import annotations

from contextlib import suppress

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

FEWEST_CELLS, MOST_CELLS = 5, 40  # of the bar
LONGEST_TIME = "-:--:--"


class TerminalBar:
    """A bar with the epoch, the losses and the time remaining, in one line."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._cells = epochs, BarColumn()
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            self._cells,
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            auto_refresh=False,
        )
        self._quiet = self._bar.console.quiet
        self._task = self._bar.add_task("", total=None, epoch=1, epochs=epochs, text="")

    def set(self, epoch: int, completed: int, total: int | None, text: str) -> None:
        """Set what the next drawing shows; leave out the last parts of a long text."""
        width = self._bar.console.width - len(f"epoch {epoch}/{self._epochs}   {LONGEST_TIME}")
        while text and len(text) > width - FEWEST_CELLS:
            text = text.rpartition(", ")[0]
        self._cells.bar_width = max(FEWEST_CELLS, min(MOST_CELLS, width - len(text)))
        self._bar.update(self._task, total=total, completed=completed, epoch=epoch, text=text)

    def start(self) -> None:
        """Draw it for the first time."""
        self._bar.start()

    def refresh(self) -> None:
        """Draw it again."""
        self._bar.refresh()

    def stop(self) -> None:
        """Draw it for the last time."""
        self._bar.stop()

    def give_up(self) -> None:
        """Release the terminal after an error: else the next bar would wait for it."""
        with suppress(Exception, SystemExit):
            self._bar.stop()
        self._bar.console.quiet = self._quiet
