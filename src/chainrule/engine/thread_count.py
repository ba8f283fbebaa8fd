"""The number of threads of a machine, chosen by repeated measurements.

It is one thread, or all that the plan allows. It may change at any batch, since the results do not
depend on it. If all cores are busy with other programs, or a container may not use them, several
threads wait for each other most of the time; and small batches are too little work for several.
Both are found by trials on the batches that are computed anyway. After a trial its cost is known,
and the next one comes when the cost is a hundredth of the time since.

Where a batch is known to take long, a fit may have few of them. Then the first ones are shared, if
cores are idle, and one thread is measured after them.
"""

from __future__ import annotations

import os
from math import exp
from time import perf_counter
from typing import NamedTuple

SLICE = 0.05  # seconds until the next choice
TRIAL = 0.005  # length of a trial in seconds of one thread's time, if cores are idle
ENOUGH_BATCHES = 8  # for a measurement; of shared ones, the first thread may do the first alone
LEAST_SHARED = 0.001  # seconds of work below which one thread is used
LONGEST_WAIT = 0.0002  # seconds to wait for threads that are being started, for short batches
MEMORY = 0.1  # seconds of measurements in the running average ...
FADING = 0.5  # ... and the time constant in seconds of their decay
RECHECK = 1.0  # seconds after which the time of one thread is measured again
# The time by which several threads may be slower than one: seconds, and a fraction of its time.
TOLERANCE, TOLERANCE_FRACTION = 0.0002, 0.25
PAUSE = 0.1  # least seconds between trials
COST_FRACTION = 0.01  # the largest fraction of the time that trials may cost
FIRST_COST = SLICE / 4  # seconds: the assumed cost of the first trial
LONG_WORK = 2_000_000_000  # multiply-adds of a batch that takes long: 20 ms or more
FIRST_SHARED = 3  # long batches that are shared and measured, before one thread is
LONG_WAIT = 0.001  # seconds to wait for threads that are being started, for long batches


class Choice(NamedTuple):
    """The number of threads for the next batches.

    Attributes
    ----------
    threads : the number of threads.
    batches : the number of batches until the next choice.
    longest_wait : seconds to wait for the other threads, before the first batch.
    time_alone : seconds of a batch with one thread; 0 to continue however long batches take.
    tolerance : seconds by which several threads may be slower than one.
    """

    threads: int
    batches: int
    longest_wait: float = 0.0
    time_alone: float = 0.0
    tolerance: float = 0.0


class _Average:
    """A running average of the seconds that a batch takes."""

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
    """The time that all trials of the process together may cost."""

    def __init__(self) -> None:
        self.worked, self.cost = 0.0, FIRST_COST

    @property
    def allows(self) -> bool:
        return self.worked * COST_FRACTION >= self.cost

    def spend(self, cost: float) -> None:
        self.worked, self.cost = 0.0, max(cost, FIRST_COST)


_budget = _Budget()


class ThreadCount:
    """Chooses between one thread and ``most`` threads, from the times of batches.

    Parameters
    ----------
    most : the number of threads.
    work : the multiply-adds of a batch.
    """

    def __init__(self, most: int, work: int) -> None:
        self.most, self._takes_long = most, work >= LONG_WORK
        self._alone, self._together = _Average(), _Average()
        self._first = 0.0  # seconds of the first batch, which may include loading or compiling
        self._last_trial, self._last_cost = 0.0, 0.0

    def choose(self, batches: int) -> Choice:
        """Return the choice for the next of the remaining ``batches``."""
        alone, together = self._alone.value, self._together.value
        is_measured = self._together.batches >= FIRST_SHARED or self._alone.batches > 0
        if self._takes_long and not is_measured and has_idle_cores(self.most - 1):
            return Choice(self.most, 1, LONG_WAIT)
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
            trial = max(1, int(TRIAL / alone))
            if now - self._alone.time > max(RECHECK, trial * (alone - together) / COST_FRACTION):
                return Choice(1, trial)
            return self._all(batches, of_a_slice)
        if now - self._last_trial >= max(PAUSE, self._last_cost / COST_FRACTION):
            if has_idle_cores(self.most - 1):
                return self._all(batches, int(TRIAL / alone))
            if _budget.allows:  # a long trial: the operating system's time slices average out
                return self._all(batches, of_a_slice)
        return Choice(1, of_a_slice)

    def _all(self, left: int, batches: int) -> Choice:
        alone, batches = self._alone.value, min(left, max(batches, ENOUGH_BATCHES))
        # For long batches, waiting costs less than computing the first one alone.
        wait = max(min(LONGEST_WAIT, batches * alone / 8), alone / 20)
        tolerance = TOLERANCE + TOLERANCE_FRACTION * alone * batches
        return Choice(self.most, batches, wait, alone, tolerance)

    def learn(
        self, choice: Choice, batches: int, seconds: float, shared: int, shared_seconds: float
    ) -> None:
        """Record the times of batches, and of those that several threads have shared."""
        if batches == 0:  # the first one's loss was not finite
            return
        now = perf_counter()
        _budget.worked += seconds
        if self._first == 0.0:
            self._first = max(seconds, 1e-9)
            return
        if choice.threads == 1 or (shared == 0 and choice.time_alone == 0.0):
            is_first = self._alone.batches == 0
            self._alone.add(batches, seconds, now)
            if is_first and self._together.batches > 0:  # only now is it known what these cost
                self._note_cost(self._together.batches, self._together.seconds, now)
            return
        if shared > 0:  # the batches before the others joined do not count
            start = max(0.0, seconds - shared_seconds - (batches - shared) * self._alone.value)
            self._together.add(shared, shared_seconds + start, now)
        if self._alone.batches > 0:
            self._note_cost(shared, shared_seconds, now)

    def _note_cost(self, shared: int, shared_seconds: float, now: float) -> None:
        """Record by how much shared batches took longer than with one thread."""
        cost = max(0.0, shared_seconds - shared * self._alone.value)
        self._last_trial, self._last_cost = now, cost
        if cost > 0.0:
            _budget.spend(cost)


def has_idle_cores(number: int) -> bool:
    """Tell whether at least ``number`` cores are idle, by the operating system's load.

    Linux reports the number of threads that run or wait for a core. On other systems it is not
    known, and the result is False.
    """
    try:
        with open("/proc/loadavg", "rb") as file:
            running = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return running > 0 and running + number <= (os.cpu_count() or 1)
