"""Conversion to arrays of objects with ``__array__``, DLPack or the buffer protocol."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import shortened
from chainrule.utils.columns import REAL, different_shapes, kind_of, not_numbers, own_dtypes
from chainrule.utils.wording import in_code

MOST_NAMES = 5  # of a mapping's arrays, in messages


def as_array(value: Any, name: str, what: str = "real numbers") -> NDArray[Any]:
    """Return ``value`` as a plain array, without a copy where possible.

    ``what`` says in errors what it must hold.

    Raises
    ------
    TypeError
        If it cannot be converted to an array, does not hold real numbers, or its own dtype is not
        real, as of a categorical column, whose values NumPy would read.
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
    if isinstance(value, Mapping) and not hasattr(value, "__array__"):
        raise _is_mapping(value, name)
    try:
        array = np.asanyarray(value)
        if array.dtype == object:
            array = _of_objects(value, array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        different = different_shapes(value) if isinstance(value, tuple | list) else ""
        why = f"{error} {different}".rstrip()
        raise kind(f"{name} cannot be read as an array: {why}") from error
    if array.dtype == object and array.ndim == 0:
        hint = ""
        if isinstance(value, Iterator):
            hint = f" Give list({in_code(name)})."
        elif hasattr(value, "toarray"):
            hint = f" Give {in_code(name)}.toarray(), which is dense."
        raise TypeError(f"{name} must be an array, not a {type(value).__name__}.{hint}")
    own = {kind_of(dtype) for dtype in own_dtypes(value)} - {None}
    if array.dtype.kind not in REAL or not own <= {*REAL}:
        raise not_numbers(value, array, name, what)
    if np.any(getattr(array, "mask", False)):
        raise ValueError(f"{name} has masked entries; fill them, or leave their rows out.")
    return np.asarray(array)


def _is_mapping(value: Mapping[Any, Any], name: str) -> TypeError:
    """Return the error for a dict, or what ``numpy.load`` returns for a .npz file."""
    names = ", ".join(shortened(key) for key in islice(value, MOST_NAMES))
    more = ", ..." if len(value) > MOST_NAMES else ""
    has_numbers = isinstance(value, dict) and not any(map(np.ndim, value.values()))
    hint = "" if has_numbers else " Take one of its arrays."
    kind = type(value).__name__
    return TypeError(f"{name} must be an array, not a {kind} with {names}{more}.{hint}")


def _of_objects(value: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return a better conversion of a value that NumPy converts to an array of objects."""
    if array.ndim == 0:
        return np.from_dlpack(value) if hasattr(value, "__dlpack__") else array
    kinds = {kind_of(dtype) for dtype in own_dtypes(value)}
    if kinds and kinds <= {*REAL}:  # pandas' columns of numbers and booleans
        numbers: NDArray[Any] = value.to_numpy(np.float64, na_value=np.nan)
        return numbers
    return array
