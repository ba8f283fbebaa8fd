"""The layout of the arena: buffers whose lifetimes do not overlap may share memory."""

from collections.abc import Hashable
from typing import NamedTuple

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Lifetime(NamedTuple):
    """A buffer's size in bytes, and the first and last moment at which it must exist."""

    size: int
    first: int
    last: int


def arrange(lifetimes: dict[Hashable, Lifetime]) -> tuple[dict[Hashable, int], int]:
    """Return each buffer's offset in bytes, and the arena's size: first fit, big buffers first.

    Examples
    --------
    >>> offsets, size = arrange({"a": Lifetime(64, 0, 1), "b": Lifetime(64, 1, 2),
    ...                          "c": Lifetime(64, 2, 3)})
    >>> offsets, size
    ({'a': 0, 'b': 64, 'c': 0}, 128)
    """
    offsets: dict[Hashable, int] = {}
    end = 0
    for key, life in sorted(lifetimes.items(), key=lambda item: -item[1].size):
        neighbours = sorted(
            (offsets[other], offsets[other] + lifetimes[other].size)
            for other in offsets
            if lifetimes[other].first <= life.last and life.first <= lifetimes[other].last
        )
        offset = 0
        for start, stop in neighbours:
            if offset + life.size <= start:
                break
            offset = max(offset, -(-stop // ALIGNMENT) * ALIGNMENT)
        offsets[key] = offset
        end = max(end, offset + life.size)
    return offsets, end


def stack(lifetimes: dict[Hashable, Lifetime]) -> tuple[dict[Hashable, int], int]:
    """Return the same for buffers that share no memory: one after the other.

    Examples
    --------
    >>> stack({"a": Lifetime(64, 0, 1), "b": Lifetime(60, 1, 2), "c": Lifetime(4, 2, 3)})
    ({'a': 0, 'b': 64, 'c': 128}, 132)
    """
    offsets: dict[Hashable, int] = {}
    end = 0
    for key, life in lifetimes.items():
        offsets[key] = -(-end // ALIGNMENT) * ALIGNMENT
        end = offsets[key] + life.size
    return offsets, end
