"""What a user's functions in NumPy return, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import finite_array

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


def checked(value: Any, name: str, like: Array, label: str, *, finite: bool) -> Array:
    """Return ``value`` as an array of real numbers of the shape of ``like``.

    Raises
    ------
    TypeError
        If it holds anything but real numbers.
    ValueError
        If its shape is another, or it holds NaN or infinity where it must be ``finite``.
    """
    try:
        array = np.asarray(value)
        if finite or array.dtype.kind not in "biuf":
            array = finite_array(array, name, like.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{label} returned a wrong {name}: {error}") from None
    if array.shape != like.shape:
        raise ValueError(
            f"{label} returned a wrong {name}: its shape must be {like.shape}, but is "
            f"{array.shape}."
        )
    return array
