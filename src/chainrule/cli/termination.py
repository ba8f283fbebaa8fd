"""Signals that ask a program to end, as `timeout`, batch systems and closed terminals send them."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Termination:
    """While the block runs, SIGTERM and SIGHUP do what Ctrl-C does, so that no work is lost.

    Nothing changes for a signal that the program ignores (as after `nohup`) or handles, nor
    outside the main thread, to which Python delivers signals.

    Attributes
    ----------
    code : int
        The exit code after the first one that came; 0 if none did.
    """

    def __init__(self) -> None:
        self.code = 0
        self._handled: list[int] = []

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)  # Windows has the first alone
                if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._interrupt)
                    self._handled.append(number)
        return self

    def __exit__(self, *error: object) -> None:
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.code = self.code or 128 + number
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(on_ctrl_c):  # ignored, as where a script starts this in the background
            raise KeyboardInterrupt
        on_ctrl_c(signal.SIGINT, frame)
