"""The arguments of a plan's functions: arrays and numbers, encoded as int64s in a table."""

from collections.abc import Hashable
from functools import lru_cache
from math import prod
from struct import pack, unpack
from typing import Any, NamedTuple

from chainrule.kernels import context
from chainrule.kernels.argument import Kind, Rows


class Constants(NamedTuple):
    """The key of a buffer that always holds these numbers."""

    values: tuple[float, ...]


class Argument(NamedTuple):
    """An argument of a call.

    Attributes
    ----------
    kind : Kind
    base : the array that it is a part of, as a word of the context.
    place : its offset there in bytes; in the arena, the key of a buffer.
    words : its further words in the table.
    """

    kind: Kind
    base: int = -1
    place: Any = 0
    words: tuple[int, ...] = ()


_kind = lru_cache(1024)(Kind)  # the arguments of all plans have few different kinds


def number(value: float) -> Argument:
    """Return a constant: an int is passed as an int64, anything else as a float64."""
    if isinstance(value, int):
        return Argument(_kind(Rows.NUMBER, dtype="i8"), words=(int(value),))
    (bits,) = unpack("q", pack("d", value))
    return Argument(_kind(Rows.NUMBER, dtype="f8"), words=(bits,))


def hyperparameter(value: float | tuple[float, ...]) -> Argument:
    """Return a number, or an array of constants."""
    if isinstance(value, tuple):
        return whole(context.ARENA, Constants(value), (len(value),))
    return number(value)


def word(place: int, dtype: str = "i8") -> Argument:
    """Return a word of the context."""
    return Argument(_kind(Rows.WORD, dtype=dtype, word=place))


def position(row_size: int) -> Argument:
    """Return the number of elements before the thread's rows, in an array of such rows."""
    return Argument(_kind(Rows.POSITION), words=(row_size,))


def whole(base: int, place: Hashable, shape: tuple[int, ...], dtype: str = "") -> Argument:
    """Return a whole array."""
    return Argument(_kind(Rows.ALL, len(shape), dtype), base, place, shape)


def counted(
    base: int, count: int, columns: tuple[int, ...], dtype: str = "", before: int = 0
) -> Argument:
    """Return an array with the context's number of rows, after ``before`` other columns."""
    return Argument(_kind(Rows.COUNTED, 1 + len(columns), dtype, count), base, before, columns)


def sum_of_chunk(place: Hashable, shape: tuple[int, ...], item: int) -> Argument:
    """Return the present chunk's part of a sum over the batch, an array of a shape."""
    words = prod(shape) * item, *shape
    return Argument(_kind(Rows.CHUNK, len(shape)), context.ARENA, place, words)


def sums_of_chunks(place: Hashable, shape: tuple[int, ...]) -> Argument:
    """Return what all chunks of the batch have given, each an array of a shape."""
    return Argument(_kind(Rows.CHUNKS, 1 + len(shape)), context.ARENA, place, shape)


def partition(
    base: int,
    start: int,
    units: int,
    unit_shape: tuple[int, ...],
    *,
    place: int = 0,
) -> Argument:
    """Return a thread's partition of a vector, in units: of shape (n,) a vector, of (1, n) rows.

    ``place`` is where the vector begins, in bytes.
    """
    words = start, units, prod(unit_shape), *unit_shape
    return Argument(_kind(Rows.PARTITION, len(unit_shape)), base, place, words)


def partition_start(start: int, units: int, unit_shape: tuple[int, ...]) -> Argument:
    """Return the number of units before a thread's partition."""
    return Argument(_kind(Rows.PARTITION_START), words=(start, units, prod(unit_shape)))


def rows_of(
    base: int,
    place: Hashable,
    shape: tuple[int, ...],
    item: int,
    *,
    ndim: int | None = None,
    rows: Rows = Rows.SLICE,
    dtype: str = "",
    start: int = -1,
) -> Argument:
    """Return rows of the batch, each of ``shape``, as an array of ``ndim`` axes.

    With fewer axes than rows of that shape have, the first ones are merged.
    """
    axes, *words = _words_of_rows(shape, item, ndim)
    return Argument(_kind(rows, axes, dtype, start), base, place, tuple(words))


@lru_cache(1024)
def _words_of_rows(shape: tuple[int, ...], item: int, ndim: int | None) -> tuple[int, ...]:
    """Return the axes of an array of such rows; bytes of a row, repeat, and the other lengths."""
    most = 1 + len(shape)
    ndim = most if ndim is None else ndim
    if ndim > most:
        raise ValueError(f"rows of shape {shape} are an array of {most} axes, not of {ndim}.")
    lengths = shape[len(shape) - (ndim - 1) :] if ndim > 1 else ()
    repeat = prod(shape) // max(1, prod(lengths)) if prod(shape) else 0
    if ndim == most:
        repeat = 1
    return (ndim, prod(shape) * item, repeat, *lengths)
