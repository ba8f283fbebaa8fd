"""The barrier, at which the threads of a group wait for each other."""

from chainrule.kernels.atomics import add, load
from chainrule.kernels.clock import clock, sleep
from chainrule.kernels.group import FAILED, GENERATION, WAITING
from chainrule.kernels.jit import kernel

# A waiting thread spins for so long, then it sleeps between its checks. It waits for that long only
# where cores are busy: to go on spinning, or to yield, would take time from the thread that it
# waits for.
SPIN = 100_000  # ns


@kernel
def barrier(group, threads):
    if threads == 1:
        return group[GENERATION] >= 0
    waiting, generation = group[WAITING:].ctypes.data, group[GENERATION:].ctypes.data
    before = load(generation)
    if before < 0:
        return False
    if add(waiting, 1) == threads - 1:
        add(waiting, -threads)
        add(generation, 1)
        return True
    _wait_for_change(generation, before)
    return load(generation) > before


@kernel
def _wait_for_change(address, value):
    """Return when the int64 at ``address`` is no longer ``value``."""
    until = clock() + SPIN
    while load(address) == value:
        if clock() > until:
            sleep()


@kernel
def fail(group):
    group[GENERATION] = FAILED


@kernel
def has_failed(group):
    return group[GENERATION] < 0
