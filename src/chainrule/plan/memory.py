"""The buffers of a plan: their sizes and lifetimes.

A lifetime is counted in moments. With one thread, each call is a moment. Several threads may be at
different calls at the same time, so that a moment lasts from one barrier to the next; and they
compute the gradients by parameters at the end of the backward pass, behind a barrier.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod

from chainrule.kernels.argument import Rows
from chainrule.kernels.context import ARENA, Flag
from chainrule.plan.arena import Lifetime, arrange, stack
from chainrule.plan.argument import Constants
from chainrule.plan.call import Call

_ROWS_OF_BATCH = Rows.SLICE, Rows.BATCH


class Memory:
    """Collects the sizes and lifetimes of buffers.

    Parameters
    ----------
    item : bytes of a number.
    rows : of the largest batch.
    chunks : the largest number of chunks in a batch.
    threads : the largest number of threads.
    """

    def __init__(self, item: int, rows: int, chunks: int, threads: int) -> None:
        self._item, self._rows, self._chunks = item, rows, chunks
        self._alone = threads == 1
        self._lifetimes: dict[Hashable, Lifetime] = {}
        self._constants: dict[Hashable, int] = {}

    def touch(self, calls: Sequence[Call], moment: int) -> int:
        """Record the buffers of successive calls from a moment on; return that of the next call."""
        last = []  # gradients by parameters, which one thread alone computes in their turn
        for call in calls:
            if not self._alone and call.flags & Flag.PARAMETERS:
                last.append(call)
            # One before a call for the input's gradient is left out with it.
            if not self._alone and call.flags & Flag.BARRIER and not call.flags & Flag.FOR_INPUT:
                moment += 1
            self.touch_call(call, moment)
            moment = self.after(moment)
        moment += bool(last)
        for call in last:
            self.touch_call(call, moment)
        return moment

    def after(self, moment: int) -> int:
        """Return the moment of a call that comes after one of this moment, without a barrier."""
        return moment + self._alone

    def touch_call(self, call: Call, moment: int) -> None:
        """Record the buffers of a call at a moment."""
        for kind, base, place, words in call.arguments:
            if base != ARENA:
                continue
            if kind.rows in _ROWS_OF_BATCH:
                size = words[0] * self._rows
            elif kind.rows == Rows.CHUNK:
                size = words[0] * self._chunks
            elif kind.rows == Rows.CHUNKS:
                size = prod(words) * self._item * self._chunks
            else:
                size = prod(words) * self._item
            if isinstance(place, Constants):
                self._constants[place] = size
            else:
                self.need(place, size, moment, moment)

    def need(self, buffer: Hashable, size: int, first: int, last: int) -> None:
        """Record that a buffer of ``size`` bytes is alive from one moment to another."""
        known = self._lifetimes.get(buffer)
        if known is not None:
            size, first = max(size, known.size), min(first, known.first)
            last = max(last, known.last)
        self._lifetimes[buffer] = Lifetime(size, first, last)

    def __contains__(self, buffer: Hashable) -> bool:
        """Tell whether a buffer is alive at any moment."""
        return buffer in self._lifetimes

    def places(self, end: int, *, share: bool) -> tuple[dict[Hashable, int], int]:
        """Return each buffer's offset, and the size of all, in bytes.

        With ``share``, buffers whose lifetimes do not overlap may share memory; constants are alive
        up to the moment ``end``.
        """
        constants = {key: Lifetime(size, 0, end) for key, size in self._constants.items()}
        lifetimes = self._lifetimes | constants
        return arrange(lifetimes) if share else stack(lifetimes)
