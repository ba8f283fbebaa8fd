"""Threads that join a group to share batches, and leave it.

They are Python threads, each in a compiled function without the GIL; so Numba's threading layers
and their restrictions are avoided. The first thread begins alone, and does not wait for threads
that the operating system has not started yet, which takes long if all cores are busy. When all have
joined, they share the work from the next batch on. The first thread continues alone as soon as
sharing costs more time than it saves.

They communicate through an array of int64s, see :mod:`chainrule.kernels.group`.
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

# The time after which a thread that has joined gives up waiting for the first one.
LONGEST_GATHERING = 2_000_000_000  # ns


@kernel
def join(group):
    """Wait to be admitted; return the number of threads of the group, or 1 if it is too late."""
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
    """Leave the group: this thread no longer accesses the shared memory."""
    add(group[LEFT:].ctypes.data, 1)


@kernel
def await_others(group):
    """In the first thread, wait until the others have joined, at most LONGEST_WAIT."""
    joined, until = group[JOINED:].ctypes.data, clock() + group[LONGEST_WAIT]
    while load(joined) < group[WANTED] - 1 and clock() < until:
        pass


@kernel
def admit(group, batch):
    """If all have joined, share the work from ``batch`` on; return the number of threads."""
    state = group[STATE:].ctypes.data
    if load(group[JOINED:].ctypes.data) < group[WANTED] - 1 or load(state) != GATHERING:
        return 1
    group[FIRST_BATCH] = batch
    group[SHARED_TIME] = -clock()
    return group[WANTED] if exchange(state, GATHERING, group[WANTED]) else 1


@kernel
def judge(group):
    """Count a batch; dismiss the others if the batches took longer than with one thread."""
    group[SHARED_BATCHES] += 1
    if group[TIME_ALONE] == 0:
        return
    alone = group[SHARED_BATCHES] * group[TIME_ALONE]
    if group[SHARED_TIME] + clock() > alone + group[TOLERANCE]:
        group[DISMISSED] = 1


@kernel
def stop_clock(group):
    """Record how long the threads have shared the work, if not yet recorded."""
    if group[SHARED_TIME] < 0:
        group[SHARED_TIME] += clock()


@kernel
def close(group):
    """Close the group to further threads; wait until all threads have left."""
    state, left = group[STATE:].ctypes.data, group[LEFT:].ctypes.data
    if exchange(state, GATHERING, CLOSED):
        return
    until = clock() + SPIN
    while load(left) < load(state) - 1:
        if clock() > until:
            sleep()
