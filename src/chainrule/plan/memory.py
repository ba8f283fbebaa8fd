"""The buffers of a plan: their sizes and lifetimes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from math import prod

from chainrule.kernels.argument import Rows
from chainrule.plan.arena import Lifetime, arrange, stack
from chainrule.plan.call import Call


class Memory:
    """Collects the sizes and lifetimes of buffers; moments count the calls.

    Parameters
    ----------
    item : bytes of a number.
    rows : of the largest batch.
    chunks : the largest number of chunks in a batch.
    """

    def __init__(self, item: int, rows: int, chunks: int) -> None:
        self._item, self._rows, self._chunks = item, rows, chunks
        self._bytes: dict[Hashable, int] = {}
        self._moments: dict[Hashable, list[int]] = {}

    def touch(self, calls: Sequence[Call], first_moment: int) -> int:
        """Record the buffers of successive calls; return the moment after the last one."""
        for moment, call in enumerate(calls, first_moment):
            for argument in call.arguments:
                if argument.buffer is None:
                    continue
                words, kind = argument.words, argument.kind
                if kind.rows in (Rows.SLICE, Rows.BATCH):
                    size = words[0] * self._rows
                elif kind.rows == Rows.CHUNK:
                    size = words[0] * self._chunks
                elif kind.rows == Rows.CHUNKS:
                    size = prod(words) * self._item * self._chunks
                else:
                    size = prod(words) * self._item
                self.need(argument.buffer, size, (moment,))
        return first_moment + len(calls)

    def need(self, buffer: Hashable, size: int, moments: Iterable[int]) -> None:
        """Record that a buffer of ``size`` bytes is alive at these moments."""
        self._bytes[buffer] = max(size, self._bytes.get(buffer, 0))
        self._moments.setdefault(buffer, []).extend(moments)

    def places(self, *, share: bool) -> tuple[dict[Hashable, int], int]:
        """Return each buffer's offset, and the size of all, in bytes.

        With ``share``, buffers whose lifetimes do not overlap may share memory.
        """
        lifetimes = {
            key: Lifetime(self._bytes[key], min(moments), max(moments))
            for key, moments in self._moments.items()
        }
        return arrange(lifetimes) if share else stack(lifetimes)
