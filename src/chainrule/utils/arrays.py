"""Validation of arrays: each argument is checked and converted to one layout here, once.

Compiled code gets arrays of one dtype, C-contiguous and aligned, since it does not look at their
types. They are read-only, as users' functions may see them. Integers, booleans and other floats are
converted to the network's dtype; anything else is an error. X, which may be large or memory-mapped,
is usually not copied: the engine converts its rows when it gathers them. Targets in the right
layout are not copied either. Labels and weights, one number a row, are always copied, so that a
later change of the caller's array cannot invalidate the check. ``chainrule.utils.protocols`` makes
arrays of other objects.
"""

from math import isfinite, prod
from sys import maxsize
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from chainrule.utils.arguments import shortened
from chainrule.utils.columns import LABELS, REAL, column_names, no_value, not_numbers
from chainrule.utils.protocols import as_array
from chainrule.utils.wording import array_in_code, in_code, plural

FLOATS = ("float32", "float64")
DOUBLE = np.dtype(np.float64)
GATHERED = frozenset(  # dtypes that compiled code converts itself
    np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64",
    )
)  # fmt: skip
SINGLE_MAX, DOUBLE_MAX = (float(np.finfo(name).max) for name in FLOATS)
CACHE_LINE = 64  # bytes
BLOCK = 1 << 16  # elements checked at a time, so that temporary arrays stay in cache
FEW = 10_000  # elements up to which OpenBLAS computes a dot product without starting threads
FloatArray = NDArray[Any]


def float_dtype(dtype: DTypeLike) -> np.dtype:
    """Return ``dtype`` as a NumPy dtype; ValueError unless it is float32 or float64."""
    try:
        result = np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result.name not in FLOATS:
        raise ValueError(f"dtype must be {' or '.join(FLOATS)}, not {dtype!r}.")
    return result


def _is_ready(value: Any, dtype: np.dtype) -> TypeGuard[NDArray[Any]]:
    """Tell whether ``value`` is a small array that compiled code takes as it is, all finite.

    For loops that are run a million times: what this does not know, the others look at closely.
    """
    return (
        type(value) is np.ndarray
        and value.dtype is dtype
        and value.flags.carray
        and 0 < value.size <= FEW
        and isfinite(np.vdot(value, value))  # which does not warn, unlike dot
    )


def ready_array(value: Any, shape: tuple[int, ...], dtype: np.dtype) -> FloatArray | None:
    """Return an array of this shape as compiled code reads it; None if it needs a closer look.

    It may hold NaN and infinity. Small arrays of another dtype or layout are copied.
    """
    if type(value) is not np.ndarray or value.shape != shape:
        return None
    if value.dtype is dtype and (flags := value.flags).c_contiguous and flags.aligned:
        return value
    if value.size > FEW or value.dtype.kind not in REAL:
        return None
    return _narrowed(value, dtype)


def finite_array(value: ArrayLike, name: str, dtype: np.dtype) -> NDArray[Any]:
    """Return ``value`` as an array of real numbers, of any dtype, that are finite in ``dtype``.

    Raises
    ------
    TypeError
        If it holds anything but real numbers.
    ValueError
        If it holds NaN or infinity, also after conversion to ``dtype``, or is ragged.
    """
    if _is_ready(value, dtype):
        return value
    array = as_array(value, name)
    _check_real(array, name, dtype, value)
    return array


def real_array(value: ArrayLike, name: str, dtype: np.dtype) -> FloatArray:
    """Return ``value`` as a read-only array of ``dtype`` with finite elements.

    Errors are those of :func:`finite_array`.
    """
    if _is_ready(value, dtype):
        return _read_only_view(value)
    return _in_one_form(finite_array(value, name, dtype), dtype)


def batch_array(value: ArrayLike, name: str, dtype: np.dtype) -> NDArray[Any]:
    """Return ``value`` as an array of at least two dimensions, none empty, for the gather.

    It is not copied, unless its rows are not contiguous or its dtype is none of ``GATHERED``.
    Errors are those of :func:`finite_array`.
    """
    array = finite_array(value, name, dtype)
    shape = array.shape
    if len(shape) < 2:
        hint = ""
        if array.ndim == 1:
            code = array_in_code(name, value)
            hint = f" A single sample is {code}[None], a single feature {code}[:, None]."
        raise ValueError(
            f"{name} must have shape (n, features), batch first, but its shape is "
            f"{array.shape}.{hint}"
        )
    if 0 in shape:
        what = "at least one row" if shape[0] == 0 else "no empty axis"
        raise ValueError(f"{name} must have {what}, but its shape is {shape}.")
    if array.dtype is dtype and array.flags.c_contiguous:
        return array
    side_by_side = array.flags.c_contiguous or array[0].flags.c_contiguous
    in_place = side_by_side and array.dtype in GATHERED
    return array if in_place else _in_one_form(array, dtype)


def label_array(value: ArrayLike, rows: int, classes: int, name: str = "y") -> NDArray[np.int64]:
    """Return a copy of class labels: int64 of shape ``(rows,)``, each in ``range(classes)``.

    False and True are labels 0 and 1.
    """
    array = as_array(value, name, LABELS)
    if array.dtype.kind not in REAL:
        raise not_numbers(value, array, name, LABELS)
    if array.shape != (rows,):
        hint = _hint_on_several(value)
        if array.shape == (rows, 1):
            hint = f" Use numpy.ravel({in_code(name)})."
        elif array.ndim == 2 and len(array) == rows:
            hint = f" Use numpy.argmax({in_code(name)}, axis=1) if each row is one-hot."
        raise ValueError(
            f"{name} must have shape ({rows},), one label a row, but its shape is "
            f"{array.shape}.{hint}"
        )
    if array.dtype.kind == "f":
        hint = _hint_on_floats(array, name)
        raise TypeError(f"{name} must hold {LABELS}, but its dtype is {array.dtype}.{hint}")
    # The copy is checked, since the caller may change the array at any time, and labels are indices
    # at which compiled code writes.
    labels = np.array(array, np.int64, order="C")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        outputs = plural(classes, "output")
        hint = ""
        if classes == 1:
            hint = " cr.BCEWithLogitsLoss() takes one output for two classes."
        elif labels.min() == 1 and labels.max() == classes:
            hint = f" The first label is 0: take {array_in_code(name, value)} - 1."
        raise ValueError(
            f"{name} has label {array[row]} at row {row}, but the network has {outputs} (labels 0 "
            f"to {classes - 1}).{hint}"
        )
    return _read_only_view(labels)


def _hint_on_several(value: Any) -> str:
    """Return what takes a tuple of arrays, as the targets of one output are no such."""
    is_tuple = isinstance(value, tuple) and any(getattr(part, "ndim", 0) for part in value)
    return " A tuple of targets is for cr.MultiLoss, with several outputs." if is_tuple else ""


def _hint_on_floats(array: NDArray[Any], name: str) -> str:
    """Return what to do about labels that are floats."""
    wrong = (array != np.trunc(array)) | np.isinf(array)  # NaN is not equal to itself
    if not wrong.any():
        return f" Use numpy.asarray({in_code(name)}, int)."
    row = int(np.argmax(wrong))
    return no_value(row) if np.isnan(array[row]) else f" Row {row} has {array[row]}."


def target_array(
    value: ArrayLike, shape: tuple[int, ...], dtype: np.dtype, name: str = "y"
) -> FloatArray:
    """Return targets of the output's ``shape``; shape ``(n, *)`` is accepted for ``(n, *, 1)``."""
    array = real_array(value, name, dtype)
    if array.shape != shape and (*array.shape, 1) != shape:
        hint = _hint_on_several(value)
        if len(shape) > 2 and array.ndim <= 2 and array.size == prod(shape):
            hint = " Flatten() in the network leaves one axis of the output."
        elif array.ndim > 2 and np.moveaxis(array, 1, -1).shape == shape:
            code = f"np.moveaxis({in_code(name)}, 1, -1)"
            hint = f" Channels come last, as {code} puts them."
        elif len(shape) == 2 < array.ndim and len(array) == shape[0] and array.size == prod(shape):
            hint = f" Use numpy.reshape({in_code(name)}, {shape})."
        elif array.shape == shape[:1] and set(np.unique(array)) <= set(range(shape[-1])):
            hint = " cr.CrossEntropyLoss() takes class labels."
        raise ValueError(
            f"{name} must have the shape of the output, {shape}, but its shape is "
            f"{array.shape}.{hint}"
        )
    return array if array.shape == shape else array.reshape(shape)


def weight_array(
    value: ArrayLike | None, rows: int, dtype: np.dtype, name: str = "sample_weight"
) -> FloatArray | None:
    """Return a copy of the samples' weights, of shape ``(rows,)``; None for None."""
    if value is None:
        return None
    array = real_array(np.array(as_array(value, name)), name, dtype)
    if array.shape != (rows,):
        raise ValueError(
            f"{name} must have shape ({rows},), one weight a row, but its shape is {array.shape}."
            + (f" Use numpy.ravel({in_code(name)})." if array.shape == (rows, 1) else "")
        )
    return array


def aligned_zeros(shape: int | tuple[int, ...], dtype: np.dtype) -> NDArray[Any]:
    """Return zeros that begin at a cache line.

    Vectors in registers are as long as a cache line or half of one: elsewhere, each load and store
    would take two lines: the gradient of a large weight takes a fifth longer.
    """
    size = prod(shape) if isinstance(shape, tuple) else shape
    if size * dtype.itemsize > maxsize:  # for which NumPy has another error
        raise MemoryError
    padded = np.zeros(size + CACHE_LINE // dtype.itemsize, dtype)
    start = -padded.ctypes.data % CACHE_LINE // dtype.itemsize
    return padded[start : start + size].reshape(shape)


def owned(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array`` as kernels can write into it: plain, contiguous, aligned and writable.

    It is copied only if necessary: unpickled arrays may be read-only, in a memory-mapped file
    (joblib) or in shared memory (pickle's out-of-band buffers), and begin within a cache line.

    >>> array = aligned_zeros(2, np.dtype(float))
    >>> owned(array) is array
    True
    """
    array = np.require(np.asarray(array), requirements=["C", "A", "W"])
    if array.ctypes.data % CACHE_LINE == 0:
        return array
    copy = aligned_zeros(array.shape, array.dtype)
    copy[...] = array
    return copy


def all_finite(array: FloatArray) -> bool:
    """Tell whether there is no NaN and no infinity in ``array``.

    >>> all_finite(np.array([1.0, 2.0])), all_finite(np.array([1.0, np.inf]))
    (True, False)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum needs one pass and no array of bools, but a sum of large numbers may overflow.
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def _check_real(array: NDArray[Any], name: str, dtype: np.dtype, value: Any) -> None:
    """Raise an error unless ``array`` holds real numbers that are finite, also as ``dtype``.

    ``value`` is what it was converted from: errors name a table's column.
    """
    if array.dtype.kind not in REAL:
        raise not_numbers(value, array, name, "real numbers")
    if array.dtype.kind != "f" or array.size == 0:
        return
    # A quick check of small arrays: if the sum of squares is finite, all elements are.
    if array.itemsize >= 4 and array.size <= FEW:
        largest = SINGLE_MAX if dtype.itemsize == 4 else DOUBLE_MAX
        if float(np.vdot(array, array)) <= largest:
            return
    rows = np.atleast_1d(array)
    step = max(1, BLOCK * len(rows) // rows.size)
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        converted = block if block.dtype == dtype else _narrowed(block, dtype)
        if not all_finite(converted):
            first = int(np.argmin(np.isfinite(converted)))
            where = np.unravel_index(first, converted.shape)
            index = ", ".join(str(int(i)) for i in (start + where[0], *where[1:]))
            cause = (
                f" ({block[where]!s} does not fit into {dtype.name})"
                if np.isfinite(block[where])
                else ""
            )
            names = column_names(value)
            column = f" (column {shortened(names[int(where[-1])])})" if names else ""
            raise ValueError(
                f"{name} must be finite, but {name}[{index}]{column} is "
                f"{converted[where]!s}{cause}."
            )


def _narrowed(array: NDArray[Any], dtype: np.dtype) -> FloatArray:
    with np.errstate(over="ignore"):
        return array.astype(dtype, order="C")


def _in_one_form(array: NDArray[Any], dtype: np.dtype) -> NDArray[Any]:
    if array.dtype is dtype and array.flags.carray:
        return _read_only_view(array)
    contiguous = np.asarray(array, dtype, order="C")
    return _read_only_view(contiguous if contiguous.flags.aligned else contiguous.copy())


def _read_only_view(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
