"""A progress bar for what takes long: on a terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from chainrule.training.notebook_bar import NotebookBar, is_notebook

T = TypeVar("T")


def tracked(items: Sequence[T], about: str) -> Iterable[T]:
    """Return the items, with a bar that tells how many are done; on a terminal, on stderr."""
    if is_notebook():
        return _in_notebook(items, about)
    from rich.console import Console  # rich takes a while to load
    from rich.progress import track

    console = Console(stderr=True)
    shown = console.is_terminal
    return track(items, about, console=console, transient=True, disable=not shown)


class _Bar(NotebookBar):
    def __init__(self, about: str) -> None:
        super().__init__(epochs=1)
        self._about = about

    def _title(self) -> str:
        return self._about


def _in_notebook(items: Sequence[T], about: str) -> Iterator[T]:
    bar = _Bar(about)
    bar.set(1, 0, len(items), "")
    bar.start()
    for done, item in enumerate(items, start=1):
        yield item
        bar.set(1, done, len(items), "")
        bar.refresh()
