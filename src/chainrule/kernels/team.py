"""Threads that work together: each runs the same code on its share, and they wait for each other.

The members are threads of Python's own, inside one compiled function each, without the GIL; so
Numba's threading layers, with their restrictions, are not needed.
"""

import sys

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from chainrule.kernels.jit import JIT_DISABLED, kernel

# Where the array that all members see counts, in int64s, a cache line apart: how many of them wait,
# and how often all have met. A team that has failed has met a negative number of times.
WAITING, MEETINGS = 0, 8
FAILED = -(1 << 62)

# So often a member looks whether the others have come, before it lets other programs run.
PATIENCE = 1 << 14

_give_way = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


@kernel
def meet(team, members):
    if members == 1:
        return team[MEETINGS] >= 0
    waiting, meetings = team[WAITING:].ctypes.data, team[MEETINGS:].ctypes.data
    before = _load(meetings)
    if before < 0:
        return False
    if _add(waiting, 1) == members - 1:
        _add(waiting, -members)
        _add(meetings, 1)
        return True
    looks = 0
    while _load(meetings) == before:
        looks += 1
        if looks > PATIENCE:
            _give_way()
    return _load(meetings) > before


@kernel
def fail(team):
    team[MEETINGS] = FAILED


@kernel
def has_failed(team):
    return team[MEETINGS] < 0


@intrinsic
def _load(typing_context, address):
    """Return the int64 at ``address``, and see all that was written before it."""

    def codegen(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _add(typing_context, address, number):
    """Add ``number`` to the int64 at ``address`` as one indivisible step; return what it was."""

    def codegen(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, values[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


if JIT_DISABLED:  # plain Python runs in one thread

    def meet(team, members):
        return team[MEETINGS] >= 0
