"""Validation of the index of an array's entry."""

from collections.abc import Iterable
from typing import Any

from chainrule.utils.wording import plural


def entry_of(index: Any, symbol: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``index`` as integers; IndexError, naming ``symbol``, unless there is that entry.

    >>> entry_of(1, "b1", (3,)), entry_of([1, 0], "W1", (2, 3))
    ((1,), (1, 0))
    """
    entries = tuple(index) if isinstance(index, Iterable) else (index,)
    if len(entries) == len(shape) and all(
        hasattr(i, "__index__") and not isinstance(i, bool) and 0 <= i < size
        for i, size in zip(entries, shape, strict=True)
    ):
        return tuple(map(int, entries))
    last = tuple(size - 1 for size in shape)
    raise IndexError(
        f"index must be {plural(len(shape), 'integer')}, from {(0,) * len(shape)} to {last}, for "
        f"{symbol} of shape {shape}; not {index!r}."
    )
