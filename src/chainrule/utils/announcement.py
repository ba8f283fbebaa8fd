"""Messages on stderr about what is being compiled, and the progress."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import perf_counter
from types import TracebackType
from typing import Any

from chainrule.utils.wording import plural

WAITS = "waiting for another process that compiles"


def say(message: str, end: str = "\n", begin: str = "") -> None:
    """Write a line to stderr, or a part of one; ignore errors."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"{begin}chainrule: {message}", end=end, file=sys.stderr, flush=True)


class Announcement:
    """One message for several functions that are compiled one after the other.

    On a terminal, it is a line that is overwritten; elsewhere, a line at the beginning.

    Parameters
    ----------
    total : int
        The number of functions.
    what_for : str
        What they are compiled for.
    """

    current: Announcement | None = (
        None  # the one that is open; Numba compiles in one thread at a time
    )

    def __init__(self, total: int, what_for: str) -> None:
        self._total, self._what_for = total, f"once for {what_for}"
        self._number, self._name, self._width = 0, "", 0
        self._waits = False
        self._is_rewritten = _is_terminal(sys.stderr)

    def __enter__(self) -> Announcement:
        Announcement.current, self._began = self, perf_counter()
        if not self._is_rewritten:
            say(f"compiling {plural(self._total, 'function')}, {self._what_for} ...")
        return self

    def next(self, name: str) -> None:
        """Say that the next function is being compiled."""
        self._number, self._name = self._number + 1, name
        self._rewrite(f"compiling {self._number} of {self._total}: {name} ...")

    def wait(self) -> None:
        """Say that another process is compiling it."""
        self._rewrite(f"{WAITS} {self._number} of {self._total}: {self._name} ...")
        if not (self._is_rewritten or self._waits):
            say(f"{WAITS} ...")
        self._waits = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        Announcement.current = None
        if self._is_rewritten and error is None:
            seconds = perf_counter() - self._began
            functions = plural(self._total, "function")
            self._rewrite(f"compiled {functions} in {seconds:.1f} s, {self._what_for}")
        if self._is_rewritten and sys.stderr is not None:
            with suppress(OSError, ValueError):
                print(file=sys.stderr, flush=True)

    def _rewrite(self, message: str) -> None:
        if self._is_rewritten:
            say(message.ljust(self._width), end="", begin="\r")
            self._width = len(message)


def _is_terminal(stream: Any) -> bool:
    """Tell whether a line on it can be overwritten; rich shows only whole lines, above its own."""
    try:
        return bool(stream.isatty()) and not hasattr(stream, "rich_proxied_file")
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
