"""What an input's numbers are: columns of a table, which have names, or pixels of an image."""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt
from typing import Any

from chainrule.explain.step import Float64
from chainrule.utils.arguments import shortened

LEAST_SIDE = 8  # pixels; a flat row of fewer than 8 x 8 numbers is more likely a table's


def names_of_features(given: Iterable[str] | None, x: Any, columns: int) -> tuple[str, ...] | None:
    """Return the names of the columns of ``x``: those given, or a table's own; None without any.

    Raises
    ------
    TypeError
        If they are no strings.
    ValueError
        If they are not as many as the columns.
    """
    if given is None:
        own = getattr(x, "columns", None)
        names = () if own is None or callable(own) else tuple(map(str, own))
        return names if names and len(names) == columns else None
    names = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if isinstance(given, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"feature_names must be strings, one for each column, not {shortened(given)}."
        )
    if len(names) != columns:
        raise ValueError(f"feature_names must be {columns}, one for each column, not {len(names)}.")
    return names


def picture_shape(x: Float64, names: tuple[str, ...] | None) -> tuple[int, int] | None:
    """Return height and width if the rows of ``x`` can be seen as pictures of one channel.

    Flat rows are taken for pictures if they could be square ones, with no pixel below 0.

    >>> import numpy as np
    >>> picture_shape(np.zeros((2, 784)), None), picture_shape(np.zeros((2, 1, 28, 20)), None)
    ((28, 28), (28, 20))
    >>> picture_shape(np.zeros((2, 100)), ("a", "b")), picture_shape(np.zeros((2, 50)), None)
    (None, None)
    """
    shape = x.shape[1:]
    if len(shape) == 1 and names is None and x.min() >= 0:
        side = isqrt(shape[0])
        shape = (side, side) if side * side == shape[0] else ()
    elif len(shape) == 3 and 1 in (shape[0], shape[2]):
        shape = shape[1:] if shape[0] == 1 else shape[:2]
    return shape if len(shape) == 2 and min(shape) >= LEAST_SIDE else None
