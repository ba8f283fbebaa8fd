"""The arguments of a call in Python: the counterpart of ``kernels.native``."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.kernels import context as words
from chainrule.kernels.argument import HEADER, Kind, Rows

Array = NDArray[Any]
Maker = Callable[[Sequence[int]], Any]

DTYPES: dict[str, np.dtype] = {
    "i8": np.dtype(np.int64),
    "f8": np.dtype(np.float64),
    "u1": np.dtype(np.uint8),
}


class Arguments:
    """Makes the arguments of one call.

    Parameters
    ----------
    kinds : of the arguments.
    row : the call's words.
    dtype : the plan's.
    arrays : by the words of the context that hold their addresses, or addresses within them.

    Notes
    -----
    Arrays are views that keep their memory alive, so that a function may store them.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        row: Sequence[int],
        dtype: np.dtype,
        arrays: Mapping[int, Array],
    ) -> None:
        self._kinds, self._dtype, self._arrays = tuple(kinds), dtype, arrays
        self._row = list(row)
        self.forget()

    def forget(self) -> None:
        """Let go of the arguments that were made last."""
        self._last: tuple[Any, ...] = ()
        self._values: list[Any] = []
        self._kept: list[Array | None] = []

    def of(self, now: list[int]) -> list[Any] | None:
        """Return the arguments in this context; None if there are no rows to process."""
        bases = [self._arrays.get(i) for i in range(words.FIRST)]
        if self._last != (now, *map(id, bases)):
            reader = _ViewReader(self._row, now, self._dtype, self._arrays)
            self._values = [reader.argument(kind) for kind in self._kinds]
            self._last = (now, *map(id, bases)) if reader.is_any else ()
            self._kept = bases  # keeps them alive, so that no other array gets the same id
            if not reader.is_any:
                return None
        for kind, value in zip(self._kinds, self._values, strict=True):
            if kind.cleared:
                value[...] = 0
        return self._values


class _ViewReader:
    """Reads the arguments of a row in order."""

    def __init__(
        self,
        row: Sequence[int],
        context: Sequence[int],
        dtype: np.dtype,
        arrays: Mapping[int, Array],
    ) -> None:
        self._row, self._context, self._dtype, self._arrays = row, context, dtype, arrays
        self._position = HEADER
        self._has_rows = True
        self._parts: list[bool] = []

    @property
    def is_any(self) -> bool:
        """Whether there is anything to do: rows, and a partition of some parameter."""
        return self._has_rows and (any(self._parts) or not self._parts)

    def _next(self, count: int) -> Sequence[int]:
        first = self._position
        self._position += count
        return self._row[first : self._position]

    def argument(self, kind: Kind) -> Any:
        context = self._context
        if kind.rows in (Rows.NUMBER, Rows.WORD):
            number = self._next(1)[0] if kind.rows == Rows.NUMBER else context[kind.word]
            return _float64(number) if kind.dtype == "f8" else number
        if kind.rows == Rows.POSITION:
            return context[words.FIRST] * self._next(1)[0]
        if kind.rows == Rows.PARTITION_START:
            return self._partition(*self._next(3))[0]
        return self._array(kind)

    def _partition(self, start: int, units: int, unit: int) -> tuple[int, int]:
        """Return the first unit of a thread's partition, and the one after the last."""
        ends = self._context[words.PARTITION_BEGIN], self._context[words.PARTITION_END]
        first, last = (min(max(-((start - end) // unit), 0), units) for end in ends)
        return first, last

    def _array(self, kind: Kind) -> Array:
        dtype: np.dtype = DTYPES.get(kind.dtype, self._dtype)
        context = self._context
        base, place = self._next(2)
        shape: list[int] = []
        if kind.rows == Rows.COUNTED:
            shape, place = [context[kind.word]], place * context[kind.word] * dtype.itemsize
        elif kind.rows in (Rows.SLICE, Rows.BATCH):
            row_bytes, repeat = self._next(2)
            is_slice = kind.rows == Rows.SLICE
            first = context[words.FIRST] if is_slice else 0
            rows = context[words.LAST] - first if is_slice else context[words.ROWS]
            start = context[kind.word] if kind.word >= 0 else 0
            self._has_rows &= rows > 0
            shape, place = [rows * repeat], place + (first + start) * row_bytes
        elif kind.rows == Rows.CHUNK:
            (size,) = self._next(1)
            place += context[words.FIRST] // context[words.CHUNK] * size
        elif kind.rows == Rows.CHUNKS:
            shape = [-(-context[words.ROWS] // context[words.CHUNK])]
        elif kind.rows == Rows.PARTITION:
            start, units, unit, length = self._next(4)
            first, last = self._partition(start, units, unit)
            self._parts.append(last > first)
            shape, place = (
                [(last - first) * length],
                place + (start + first * unit) * dtype.itemsize,
            )
        shape += self._next(kind.ndim - len(shape))
        return self._view(base, place, shape, dtype)

    def _view(self, base: int, place: int, shape: list[int], dtype: np.dtype) -> Array:
        if prod(shape) == 0:
            return np.empty(shape, dtype)
        array = self._arrays[base]
        place += self._context[base] - array.ctypes.data  # the address may lie within the array
        memory = array.reshape(-1).view(np.uint8)
        return memory[place : place + prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


def _float64(bits: int) -> float:
    number: float = struct.unpack("d", struct.pack("q", bits))[0]
    return number
