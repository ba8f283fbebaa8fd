"""How many threads share a machine's batches: what pays is measured, and measured again.

One thread or all that a plan allows: the number may change at any batch, since bits do not depend
on it. Where all cores are busy, with other programs or in a container that may not use them,
several threads wait for each other most of the time; and small batches leave too little to share.
Both are found by trying, on the batches that are to be done anyway. What a trial costs is known
afterwards, and the next one waits until it is a hundredth of the work done since.
"""

from __future__ import annotations

import os
from math import exp
from time import perf_counter
from typing import NamedTuple

SLICE = 0.05  # seconds until the next choice
TRIAL = 0.005  # seconds, of one thread's time, where cores are idle
ENOUGH_BATCHES = 8  # to measure what one takes; of shared ones, the first may be done alone
LEAST_SHARED = 0.001  # seconds: what one thread does sooner, it does alone
LONGEST_WAIT = 0.0002  # seconds, for threads that are being started, where batches are short
MEMORY = 0.1  # seconds of measurement that a new one is averaged with ...
FADING = 0.5  # ... less the older they are
RECHECK = 1.0  # seconds after which the time of one thread is measured again
# By how much several threads may fall behind one: so many seconds, and a share of its time.
TOLERANCE, TOLERANCE_FRACTION = 0.0002, 0.25
PAUSE = 0.1  # seconds between trials, at least
COST_FRACTION = 0.01  # of the time, for trials
FIRST_COST = SLICE / 4  # seconds: what a trial costs, before there was one


class Choice(NamedTuple):
    """How to go on.

    Attributes
    ----------
    threads : how many threads share the batches.
    batches : after how many of them to choose again.
    longest_wait : seconds to wait for the other threads, before the first batch.
    time_alone : seconds a batch that one thread needs; 0 to go on however long batches take.
    tolerance : seconds by which several threads may fall behind one.
    """

    threads: int
    batches: int
    longest_wait: float = 0.0
    time_alone: float = 0.0
    tolerance: float = 0.0


class _Average:
    """The seconds that a batch takes, of late."""

    def __init__(self) -> None:
        self.value, self._weight, self.time = 0.0, 0.0, 0.0
        self.batches, self.seconds = 0, 0.0

    def add(self, batches: int, seconds: float, now: float) -> None:
        self.batches, self.seconds = self.batches + batches, self.seconds + seconds
        self._weight *= exp((self.time - now) / FADING)
        total = self._weight + seconds
        self.value += (seconds / batches - self.value) * (seconds / total if total > 0 else 1.0)
        self._weight, self.time = min(total, MEMORY), now


class _Budget:
    """What all trials of the process together may cost."""

    def __init__(self) -> None:
        self.worked, self.cost = 0.0, FIRST_COST

    @property
    def allows(self) -> bool:
        return self.worked * COST_FRACTION >= self.cost

    def spend(self, cost: float) -> None:
        self.worked, self.cost = 0.0, max(cost, FIRST_COST)


_budget = _Budget()


class ThreadCount:
    """Chooses between one thread and ``most``, by how long batches have taken."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._alone, self._together = _Average(), _Average()
        self._first = 0.0  # seconds of the first batch, which may have to load code, or compile it
        self._last_trial, self._last_cost = 0.0, 0.0

    def choose(self, batches: int) -> Choice:
        """Return how to go on where so many batches are left."""
        alone, together = self._alone.value, self._together.value
        if self._first == 0.0:
            return Choice(1, 1)
        if self._alone.batches < ENOUGH_BATCHES and self._alone.seconds < TRIAL:
            batch = alone or self._first
            return Choice(1, max(1, min(ENOUGH_BATCHES, int(TRIAL / batch))))
        expected, now = batches * alone, perf_counter()
        of_a_slice = max(1, int(SLICE / alone))
        if expected < LEAST_SHARED:
            return Choice(1, of_a_slice)
        if 0.0 < together < alone:
            if now - self._alone.time > RECHECK:
                return Choice(1, max(1, int(TRIAL / alone)))
            return self._all(batches, of_a_slice)
        if now - self._last_trial >= max(PAUSE, self._last_cost / COST_FRACTION):
            if has_idle_cores(self.most - 1):
                return self._all(batches, int(TRIAL / alone))
            if _budget.allows:  # a trial of many time slices, which all programs get in turn
                return self._all(batches, of_a_slice)
        return Choice(1, of_a_slice)

    def _all(self, left: int, batches: int) -> Choice:
        alone, batches = self._alone.value, min(left, max(batches, ENOUGH_BATCHES))
        # To do the first batch alone costs more than to wait, where batches are long.
        wait = max(min(LONGEST_WAIT, batches * alone / 8), alone / 20)
        tolerance = TOLERANCE + TOLERANCE_FRACTION * alone * batches
        return Choice(self.most, batches, wait, alone, tolerance)

    def learn(
        self, choice: Choice, batches: int, seconds: float, shared: int, shared_seconds: float
    ) -> None:
        """Take in what batches have taken, and those among them that threads have shared."""
        if batches == 0:  # the first one's loss was not finite
            return
        now = perf_counter()
        _budget.worked += seconds
        if self._first == 0.0:
            self._first = max(seconds, 1e-9)
            return
        if choice.threads == 1:
            self._alone.add(batches, seconds, now)
            return
        if shared > 0:  # batches before the others came say nothing of one thread
            start = max(0.0, seconds - shared_seconds - (batches - shared) * self._alone.value)
            self._together.add(shared, shared_seconds + start, now)
        cost = max(0.0, shared_seconds - shared * self._alone.value)
        self._last_trial, self._last_cost = now, cost
        if cost > 0.0:
            _budget.spend(cost)


def has_idle_cores(number: int) -> bool:
    """Tell whether the operating system says that so many cores have nothing to do.

    Linux tells how many threads are running or waiting for a core; others give no answer, and no is
    what this returns then.
    """
    try:
        with open("/proc/loadavg", "rb") as file:
            running = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return running > 0 and running + number <= (os.cpu_count() or 1)
