"""What a user's functions in NumPy return, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arrays import all_finite, finite_array

Array = NDArray[Any]


def pair(value: Any, label: str, names: str) -> tuple[Any, Any]:
    """Return ``value``, if it is a pair; TypeError, with the names of the two, if not.

    ``label`` is what messages call the function.
    """
    if not isinstance(value, tuple) or len(value) != 2:
        kind = type(value).__name__
        got = f"{kind} of {len(value)}" if isinstance(value, tuple | list) else kind
        raise TypeError(f"{label} must return a pair, `return {names}`, not a {got}.")
    return value


def checked(value: Any, name: str, like: Array, label: str, source: Array) -> Array:
    """Return ``value`` as an array of real numbers of the shape of ``like``.

    Raises
    ------
    TypeError
        If it holds anything but real numbers.
    ValueError
        If its shape is another; or it holds NaN or infinity while its ``source``, what it was
        computed from, is finite.
    """
    try:
        array = finite_array(value, name, like.dtype)
    except (TypeError, ValueError) as error:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or all_finite(source):
            raise type(error)(f"{label} returned a wrong {name}: {error}") from None
    if array.shape != like.shape:
        raise ValueError(
            f"{label} returned a wrong {name}: its shape must be {like.shape}, but is "
            f"{array.shape}."
        )
    return array
