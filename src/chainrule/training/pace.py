"""How many steps compiled code does in one call."""

from __future__ import annotations

from chainrule.training.callbacks import Callbacks

SLICE_SECONDS = 0.1  # how long compiled code runs before the progress bar and Ctrl-C have a turn
MOST_STEPS = 1 << 16  # in a slice, so that the buffer of losses stays small


class Pace:
    """Steps for the next slice, by how long the one before took."""

    def __init__(self) -> None:
        self._steps = 1

    def steps_until_pause(self, calls: Callbacks) -> int:
        """Return how many steps may run until the slice or somebody's patience ends."""
        return int(min(self._steps, calls.steps))

    def ran(self, steps: int, seconds: float) -> None:
        """Learn from a slice."""
        # Growing tenfold at the most keeps one quick measurement from making a slice too long; but
        # one that ended early, at an epoch's end or for a callback, must not make the next short.
        most = 10 * max(steps, self._steps)
        wanted = int(min(most, steps * SLICE_SECONDS / max(seconds, 1e-9)))
        self._steps = min(MOST_STEPS, max(1, wanted))
