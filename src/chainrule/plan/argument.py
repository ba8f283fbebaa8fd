"""The arguments of a plan's functions: arrays and numbers, as a table of int64s holds them."""

from collections.abc import Hashable
from functools import lru_cache
from math import prod
from struct import pack, unpack
from typing import Any, NamedTuple

from chainrule.kernels import context
from chainrule.kernels.argument import Kind, Rows


class Constants(NamedTuple):
    """The key of a buffer that holds these numbers all the time."""

    values: tuple[float, ...]


class Argument(NamedTuple):
    """An argument of a call.

    Attributes
    ----------
    kind : Kind
    base : which array it lies in, a word of the context.
    place : where it begins there, in bytes; of the arena, the key of a buffer.
    words : what the table says of it besides base and place.
    """

    kind: Kind
    base: int = -1
    place: Any = 0
    words: tuple[int, ...] = ()


_kind = lru_cache(1024)(Kind)  # those of one plan are much the same, and those of the next


def number(value: float) -> Argument:
    """Return a number of the plan's: an int stays one, anything else is a float64."""
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
    """Return how many numbers come before the thread's rows, of an array of such rows."""
    return Argument(_kind(Rows.POSITION), words=(row_size,))


def whole(base: int, place: Hashable, shape: tuple[int, ...], dtype: str = "") -> Argument:
    """Return a whole array."""
    return Argument(_kind(Rows.ALL, len(shape), dtype), base, place, shape)


def counted(
    base: int, count: int, columns: tuple[int, ...], dtype: str = "", before: int = 0
) -> Argument:
    """Return an array of as many rows as the context says, behind ``before`` columns of others."""
    return Argument(_kind(Rows.COUNTED, 1 + len(columns), dtype, count), base, before, columns)


def share(
    base: int,
    start: int,
    units: int,
    unit_shape: tuple[int, ...],
    *,
    place: int = 0,
) -> Argument:
    """Return a thread's share of a vector, in units of a shape: (n,) gives a vector, (1, n) rows.

    ``place`` is where the vector begins, in bytes.
    """
    words = start, units, prod(unit_shape), *unit_shape
    return Argument(_kind(Rows.SHARE, len(unit_shape)), base, place, words)


def share_start(start: int, units: int, unit_shape: tuple[int, ...]) -> Argument:
    """Return how many units come before a thread's share."""
    return Argument(_kind(Rows.SHARE_START), words=(start, units, prod(unit_shape)))


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
