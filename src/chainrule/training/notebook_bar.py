"""The progress bar of training in a notebook: HTML that is written over, without a widget."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any


def is_notebook() -> bool:
    """Tell whether the program runs in a kernel of Jupyter, whose outputs are shown as HTML."""
    ipython = sys.modules.get("IPython")  # not imported: it is there if the program runs in it
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A bar with the epoch, the losses and the time remaining; it stays in the saved notebook."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._epoch, self._completed = epochs, 1, 0
        self._total: int | None = None
        self._text = ""

    def set(self, epoch: int, completed: int, total: int | None, text: str) -> None:
        """Set what the next drawing shows."""
        self._epoch, self._completed, self._total, self._text = epoch, completed, total, text

    def start(self) -> None:
        """Draw it for the first time."""
        from IPython.display import display

        self._began = perf_counter()
        self._display: Any = display(self, display_id=True)

    def refresh(self) -> None:
        """Draw it again."""
        self._display.update(self)

    stop = refresh

    def give_up(self) -> None:
        """Do nothing: nothing is held."""

    def _remaining(self) -> str:
        """Return the time remaining, if it can be known and there is some."""
        if not self._total or not 0 < self._completed < self._total:
            return ""
        spent = perf_counter() - self._began
        seconds = round(spent * (self._total - self._completed) / self._completed)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} remaining"

    def _title(self) -> str:
        """Return what stands before the bar."""
        return f"epoch {self._epoch}/{self._epochs}"

    def _parts(self) -> list[str]:
        parts = self._title(), self._text, self._remaining()
        return [part for part in parts if part]

    def __repr__(self) -> str:
        return ", ".join(self._parts())

    def _repr_html_(self) -> str:
        first, *rest = self._parts()
        value = "" if self._total is None else f' value="{self._completed}" max="{self._total}"'
        return f"<div>{first} <progress{value}></progress> {', '.join(rest)}</div>"
