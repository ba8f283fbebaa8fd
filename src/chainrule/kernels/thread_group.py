"""How threads join those that share batches, and leave them.

They are threads of Python's own, inside one compiled function each, without the GIL; so Numba's
threading layers, with their restrictions, are not needed. The first thread begins alone, and never
waits for a thread that the operating system has not started yet: where all cores are busy, that
takes long. When all have joined, they share the work from the next batch on. The first thread goes
on alone as soon as the others cost more time than they save.

An array of int64s holds what they know of each other, see :mod:`chainrule.kernels.group`.
"""

from chainrule.kernels.atomics import add, exchange, load
from chainrule.kernels.barrier import SPIN
from chainrule.kernels.clock import clock, sleep
from chainrule.kernels.group import (
    CLOSED,
    DISMISSED,
    FIRST_BATCH,
    GATHERING,
    JOINED,
    LEFT,
    LONGEST_WAIT,
    SHARED_BATCHES,
    SHARED_TIME,
    STATE,
    TIME_ALONE,
    TOLERANCE,
    WANTED,
)
from chainrule.kernels.jit import kernel

# A thread that has joined gives up when the first one does not come for so long.
LONGEST_GATHERING = 2_000_000_000  # ns


@kernel
def join(group):
    """Wait to be admitted; return how many threads share the work, or 1 if it is too late."""
    state = group[STATE:].ctypes.data
    add(group[JOINED:].ctypes.data, 1)
    began = clock()
    while load(state) == GATHERING:
        waited = clock() - began
        if waited > SPIN:
            sleep()
        if waited > LONGEST_GATHERING:
            exchange(state, GATHERING, CLOSED)
    return max(1, load(state))


@kernel
def leave(group):
    """Say that this thread touches nothing any more."""
    add(group[LEFT:].ctypes.data, 1)


@kernel
def await_others(group):
    """Let the first thread wait until the others have joined, as long as it is told to."""
    joined, until = group[JOINED:].ctypes.data, clock() + group[LONGEST_WAIT]
    while load(joined) < group[WANTED] - 1 and clock() < until:
        pass


@kernel
def admit(group, batch):
    """Share the work from ``batch`` on if all have joined; return how many threads do."""
    state = group[STATE:].ctypes.data
    if load(group[JOINED:].ctypes.data) < group[WANTED] - 1 or load(state) != GATHERING:
        return 1
    group[FIRST_BATCH] = batch
    group[SHARED_TIME] = -clock()
    return group[WANTED] if exchange(state, GATHERING, group[WANTED]) else 1


@kernel
def judge(group):
    """Count a batch; dismiss the others if all took longer than one thread would have needed."""
    group[SHARED_BATCHES] += 1
    if group[TIME_ALONE] == 0:
        return
    alone = group[SHARED_BATCHES] * group[TIME_ALONE]
    if group[SHARED_TIME] + clock() > alone + group[TOLERANCE]:
        group[DISMISSED] = 1


@kernel
def stop_clock(group):
    """Note how long the threads have shared the work, the first time."""
    if group[SHARED_TIME] < 0:
        group[SHARED_TIME] += clock()


@kernel
def close(group):
    """Admit nobody any more; wait until all that were admitted have left."""
    state, left = group[STATE:].ctypes.data, group[LEFT:].ctypes.data
    if exchange(state, GATHERING, CLOSED):
        return
    until = clock() + SPIN
    while load(left) < load(state) - 1:
        if clock() > until:
            sleep()
