"""Runs of the interpreter by one thread or several, as many as pay."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from time import perf_counter, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.thread_count import Choice, ThreadCount
from chainrule.kernels import group as in_group
from chainrule.kernels.context import FAILED
from chainrule.utils.arrays import aligned_zeros

ALL_THREADS = 1 << 20  # more than there are


class ThreadGroup:
    """Runs the interpreter with one thread, or with several that share each batch.

    Parameters
    ----------
    threads : how many there may be.
    work : the multiply-adds of a batch.

    Attributes
    ----------
    alone : array
        The group's array where there is one thread only.
    """

    def __init__(self, threads: int, work: int) -> None:
        self._thread_count = ThreadCount(threads, work)
        self.alone = new_group(Choice(1, 1))

    def run(self, run: Callable[..., int], arguments: tuple[Any, ...], total: int) -> int:
        """Do ``total`` batches; return how many are done then, or FAILED.

        They are done slice by slice, with as many threads as pay, which each slice measures.
        """
        done = 0
        while done < total:
            choice = self._thread_count.choose(total - done)
            group = self.alone if choice.threads == 1 else new_group(choice)
            end = min(total, done + choice.batches)
            began = perf_counter()
            reached = _run_by_all(run, (*arguments, group, (done, end)), group)
            if reached == FAILED:
                return FAILED
            shared = int(group[in_group.SHARED_BATCHES])
            shared_seconds = float(group[in_group.SHARED_TIME]) / 1e9
            seconds = perf_counter() - began
            self._thread_count.learn(choice, reached - done, seconds, shared, shared_seconds)
            done = reached
            if done < end:
                break
        return done


def _run_by_all(
    run: Callable[..., int], arguments: tuple[Any, ...], group: NDArray[np.int64]
) -> int:
    """Let all threads of a group run, and return what the first one returns."""
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            run(*arguments, thread)
        except BaseException as error:
            errors.append(error)
            group[in_group.GENERATION] = in_group.FAILED
            group[in_group.LEFT] += ALL_THREADS  # or nobody knows how many have left

    try:
        for thread in range(1, int(group[in_group.WANTED])):
            try:  # not threading.Thread, whose start waits until the thread runs
                start_new_thread(work, (thread,))
            except RuntimeError as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                    raise  # it comes from Python: a handler of a signal has raised it
                # The system has no more: the first one does it alone.
                group[in_group.STATE], group[in_group.WANTED] = in_group.CLOSED, 1
                break
        batches: int = run(*arguments, 0)
    except BaseException:
        # Those that were not admitted yet find the group closed; what the others do is over
        # when they say so themselves.
        group[in_group.GENERATION] = in_group.FAILED
        if group[in_group.STATE] == in_group.GATHERING:
            group[in_group.STATE] = in_group.CLOSED
        while group[in_group.LEFT] < group[in_group.STATE] - 1:
            sleep(0.001)
        raise
    if errors:
        raise errors[0]
    return batches


def new_group(choice: Choice) -> NDArray[np.int64]:
    """Return the array by which threads that share batches know of each other.

    Each call has one of its own: a thread that comes too late finds it closed.
    """
    group = aligned_zeros(in_group.GROUP_SIZE, np.dtype(np.int64))
    group[in_group.WANTED] = choice.threads
    group[in_group.LONGEST_WAIT] = choice.longest_wait * 1e9
    group[in_group.TIME_ALONE] = choice.time_alone * 1e9
    group[in_group.TOLERANCE] = choice.tolerance * 1e9
    return group
