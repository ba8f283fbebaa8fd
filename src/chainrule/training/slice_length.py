"""How many steps compiled code runs in one call."""

from __future__ import annotations

from chainrule.training.callbacks import Callbacks

SLICE_SECONDS = 0.1  # of compiled code, between updates of the progress bar and checks for Ctrl-C
MOST_STEPS = 1 << 16  # in a slice, so that the buffer of losses stays small


class SliceLength:
    """The number of steps in the next slice, chosen by how long the slices before took."""

    def __init__(self) -> None:
        self._steps = 1

    def steps_until_pause(self, calls: Callbacks) -> int:
        """Return how many steps may run until the slice ends or a callback is due."""
        return int(min(self._steps, calls.steps))

    def ran(self, steps: int, seconds: float) -> None:
        """Adapt the length to a slice of so many steps that took so long."""
        # At most ten times more steps, so that one fast measurement does not make the next slice
        # too long. The factor applies to the longer of the two lengths: a slice may have ended
        # early, at an epoch's end or for a callback.
        most = 10 * max(steps, self._steps)
        wanted = int(min(most, steps * SLICE_SECONDS / max(seconds, 1e-9)))
        self._steps = min(MOST_STEPS, max(1, wanted))
