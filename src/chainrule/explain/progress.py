"""A progress bar for what takes long: on a terminal or in a notebook, and gone when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def tracked(items: Sequence[T], about: str) -> Iterable[T]:
    """Return the items, with a bar on stderr that tells how many are done."""
    from rich.console import Console  # rich takes a while to load
    from rich.progress import track

    console = Console(stderr=True)
    shown = console.is_terminal or console.is_jupyter
    return track(items, about, console=console, transient=True, disable=not shown)
