"""Ctrl-C as a request, looked at where it is safe to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether somebody asked to stop."""

    requested: bool = False


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turn SIGINT into a request while the block runs; a second one interrupts at once.

    Nothing changes outside the main thread, to which Python delivers signals, nor where the
    program ignores SIGINT or handles it outside Python.
    """
    state = Interruption()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) in (None, signal.SIG_IGN):
        yield state
        return

    def request(number: int, frame: FrameType | None) -> None:
        if state.requested:
            raise KeyboardInterrupt
        state.requested = True

    before = signal.signal(signal.SIGINT, request)
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, before)
