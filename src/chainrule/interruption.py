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

    Outside the main thread nothing changes: Python delivers signals to the main thread only.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
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
