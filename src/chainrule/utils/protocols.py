"""Conversion to arrays of objects with ``__array__``, DLPack or the buffer protocol."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

REAL = "biuf"  # the kinds of dtypes that hold real numbers


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return ``value`` as a plain array, without a copy where possible.

    Raises
    ------
    TypeError
        If it cannot be converted to an array, or its own dtype is not real, as of a categorical
        column, whose codes NumPy would read.
    ValueError
        If it is ragged, or has masked entries.

    Examples
    --------
    >>> from array import array
    >>> as_array(array("f", [1.0, 2.0]), "x")
    array([1., 2.], dtype=float32)
    """
    if type(value) is np.ndarray:
        return value
    try:
        array = np.asanyarray(value)
        if array.dtype == object:
            array = _of_objects(value, array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} cannot be read as an array: {error}") from error
    if array.dtype == object and array.ndim == 0:
        raise TypeError(f"{name} must be an array, not a {type(value).__name__}.")
    for dtype in _own_dtypes(value):
        if _kind(dtype) not in (None, *REAL):
            raise TypeError(f"{name} must hold real numbers, but its dtype is {dtype}.")
    if np.any(getattr(array, "mask", False)):
        raise ValueError(f"{name} has masked entries; fill them, or leave their rows out.")
    return np.asarray(array)


def _of_objects(value: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return a better conversion of a value that NumPy converts to an array of objects."""
    if array.ndim == 0:
        return np.from_dlpack(value) if hasattr(value, "__dlpack__") else array
    kinds = {_kind(dtype) for dtype in _own_dtypes(value)}
    if kinds and kinds <= {*REAL}:  # pandas' columns of numbers and booleans
        return np.asarray(value, np.float64)
    return array


def _own_dtypes(value: Any) -> list[Any]:
    """Return the dtypes that a table, a column or an array has of its own."""
    dtypes = getattr(value, "dtypes", getattr(value, "dtype", ()))
    return list(dtypes) if hasattr(dtypes, "__iter__") else [dtypes]


def _kind(dtype: Any) -> str | None:
    """Return the letter of a dtype's kind, as in NumPy and pandas; None if it has none."""
    if hasattr(dtype, "is_temporal"):  # polars': NumPy would read dates as numbers of days
        return "M" if dtype.is_temporal() else None
    kind: str | None = getattr(dtype, "kind", None)
    return kind
