"""Ctrl-C as a request to stop, which a computation checks where it can stop safely."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType
from typing import ClassVar

SECOND_WITHIN = 1.0  # seconds in which a second Ctrl-C means the whole program, not a computation


class Interruption:
    """A handler of SIGINT: the first signal requests a stop, the second interrupts at once.

    The second one is any while the request is open or after it was answered, and within a second
    also one that the next handler gets: who presses Ctrl-C twice means a loop over computations.

    Attributes
    ----------
    requested : bool
    """

    _latest: ClassVar = -inf  # when the latest request of all was made

    def __init__(self) -> None:
        self.requested = self._is_answered = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        before, Interruption._latest = Interruption._latest, monotonic()
        if self.requested or Interruption._latest < before + SECOND_WITHIN:
            raise KeyboardInterrupt
        self.requested = True

    def answer(self) -> bool:
        """Return whether a stop was requested, and mark the request as answered."""
        self._is_answered = self.requested
        return self.requested

    @property
    def is_open(self) -> bool:
        """Whether a stop was requested and not yet answered."""
        return self.requested and not self._is_answered


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turn SIGINT into a request to stop while the block runs; nested blocks share one request.

    If the request is not answered by the end of the block, KeyboardInterrupt is raised there.
    The block has no effect outside the main thread, to which Python delivers signals, or if the
    program ignores SIGINT or handles it outside Python.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if in_main_thread else None
    if isinstance(before, Interruption):
        yield before
        return
    state = Interruption()
    if before in (None, signal.SIG_IGN):
        yield state
        return
    try:
        signal.signal(signal.SIGINT, state)
        yield state
    finally:
        try:
            signal.signal(signal.SIGINT, before)
        finally:  # again: the handler of another signal may have raised an exception in between
            signal.signal(signal.SIGINT, before)
        if state.is_open:
            raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay SIGINT until the end of the block; several signals become one."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if in_main_thread else None
    if not callable(before):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])
