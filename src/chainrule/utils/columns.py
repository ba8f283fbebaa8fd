"""Tables and columns of pandas, polars and Arrow: their dtypes, and errors if these are wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import shortened
from chainrule.utils.wording import IN_CODE, in_code

REAL = "biuf"  # the kinds of dtypes that hold real numbers
LABELS = "integer class labels"
NUMBERS = (Real, np.bool_)  # what a cell is
ENCODE = (
    " Encode it as numbers: a column for each of its values, by pandas.get_dummies or "
    "scikit-learn's OneHotEncoder; or its codes, by pandas.factorize, for a cr.Embedding."
)


def own_dtypes(value: Any) -> list[Any]:
    """Return the dtypes that a table, a column or an array has of its own."""
    dtypes = getattr(value, "dtypes", getattr(value, "dtype", ()))
    return list(dtypes) if hasattr(dtypes, "__iter__") else [dtypes]


def kind_of(dtype: Any) -> str | None:
    """Return the letter of a dtype's kind, as in NumPy and pandas; None if it has none."""
    if hasattr(dtype, "is_temporal"):  # polars': NumPy would read dates as numbers of days
        return "M" if dtype.is_temporal() else None
    kind: str | None = getattr(dtype, "kind", None)
    return kind


def column_names(value: Any) -> list[Any]:
    """Return the names of a table's columns; an empty list if ``value`` is no table."""
    for attribute in ("column_names", "columns"):  # of Arrow; of pandas and polars
        if hasattr(type(value), attribute):
            return list(getattr(value, attribute))
    return []


def not_numbers(value: Any, array: NDArray[Any], name: str, what: str) -> TypeError:
    """Return the error for ``value``, which holds something else than ``what``.

    It names the first such column of a table, its first such cell, and a remedy.

    Parameters
    ----------
    value, array
        What was given, and what NumPy converted it to.
    name : str
        Of the argument.
    what : str
        What it must hold: real numbers, or ``LABELS``.
    """
    column, cells = _first_wrong_column(value)
    if column is None:
        where, dtype, name_of_cells = "its dtype", _dtype_text(value, array), in_code(name)
    else:
        array = np.asarray(cells)
        where, dtype = f"the dtype of its column {shortened(column)}", _dtype_text(cells, array)
        name_of_cells = f"{in_code(name)}[{shortened(column)}]"
    hint = _hint(cells, array, name_of_cells, what, of_table=column is not None)
    return TypeError(f"{name} must hold {what}, but {where} is {dtype}.{hint}")


def _first_wrong_column(value: Any) -> tuple[Any, Any]:
    """Return name and cells of the first column without numbers; or None and ``value``."""
    for name in column_names(value):
        cells = value[name]
        kinds = {kind_of(dtype) for dtype in own_dtypes(cells)} - {None}
        if not kinds <= {*REAL} or np.asarray(cells).dtype.kind not in REAL:
            return name, cells
    return None, value


def _dtype_text(cells: Any, array: NDArray[Any]) -> str:
    own = getattr(cells, "dtype", getattr(cells, "type", None))  # Arrow's is a type
    return str(array.dtype if own is None or callable(own) else own)


def _hint(cells: Any, array: NDArray[Any], name: str, what: str, *, of_table: bool) -> str:
    """Return the first cell that is no number, and a remedy; ``name`` is that of the cells."""
    wrong = ((i, cell) for i, cell in enumerate(array.flat) if not isinstance(cell, NUMBERS))
    position, cell = next((pair for pair in wrong if not _is_missing(pair[1])), (-1, None))
    if array.dtype.kind == "M" or isinstance(cell, date | timedelta):
        return " Convert dates to numbers, such as the days since the first one."
    if array.dtype.names:
        function = "numpy.lib.recfunctions.structured_to_unstructured"
        return f" {function}({name}) has a column for each field."
    is_feature, is_label = of_table or array.ndim > 1, what == LABELS
    if _dtype_text(cells, array).lower().startswith(("categor", "enum", "dictionary")):
        if is_feature:
            return ENCODE
        has_codes = hasattr(getattr(cells, "cat", None), "codes")
        codes = " Its .cat.codes has a number for each category." if has_codes else _unique(name)
        return _missing_text(array) or (codes if is_label else "")
    if array.dtype.kind not in "OSU" or array.ndim == 0:
        return ""
    missing = _missing_text(array)
    if position < 0:
        return missing or _hint_on_numbers(cells, array, is_label)
    row = f" Row {_row(array, position)} has"
    if isinstance(cell, np.ndarray):
        return _hint_on_arrays(array, name)
    if not isinstance(cell, str | bytes):
        return f"{row} {shortened(cell)}."
    row = f"{row} {shortened(cell if isinstance(cell, bytes) else str(cell))}."
    if any(isinstance(cell, NUMBERS) and not _is_missing(cell) for cell in array.flat):
        return row
    if missing and not is_feature:
        return missing
    remedy = _unique(name) if is_label else ENCODE if is_feature else ones_and_zeros(array, name)
    return row + (_hint_on_digits(cells, array, name, is_label) or remedy)


def _hint_on_numbers(cells: Any, array: NDArray[Any], is_label: bool) -> str:
    """Return a remedy for numbers or booleans that are Python objects."""
    fraction = next((i for i, cell in enumerate(array.flat) if is_label and cell % 1), -1)
    if fraction >= 0:
        return f" Row {_row(array, fraction)} has {shortened(array.flat[fraction])}."
    dtype, them = ("int", "labels") if is_label else ("float", "numbers")
    return f" Its astype({dtype}) has the {them}." if hasattr(cells, "astype") else ""


def _hint_on_digits(cells: Any, array: NDArray[Any], name: str, is_label: bool) -> str:
    """Return a remedy for texts that are all numbers; an empty text for others."""
    dtype = int if is_label else float
    try:
        for cell in array.flat:
            if not _is_missing(cell):
                dtype(cell)
    except ValueError:
        return ""
    in_pandas = type(cells).__module__.partition(".")[0] == "pandas"
    call = f"pandas.to_numeric({name})" if in_pandas else f"numpy.asarray({name}, {dtype.__name__})"
    others = f" If these are no labels from 0 on:{_unique(name)}" if is_label else ""
    return f" {call} has the numbers.{others}"


def _unique(name: str) -> str:
    """Return how to make labels of classes; those of validation data must be the same as of y."""
    if name.startswith("validation"):
        found = f"numpy.searchsorted(classes, {name})"
        return f" {found} has each row's label, with the classes that numpy.unique(y) returns."
    return f" numpy.unique({name}, return_inverse=True) returns the classes and each row's label."


def ones_and_zeros(array: NDArray[Any], name: str) -> str:
    """Return how targets of two classes become ones and zeros; an empty text for others.

    >>> ones_and_zeros(np.array([1, 2, 1]), "y"), ones_and_zeros(np.array([0, 1, 2]), "y")
    (' numpy.asarray(y) == 2 has True and False for 1 and 0.', '')
    """
    is_target = name.startswith(("y", IN_CODE["validation y"]))
    values = set(array.flat) if is_target else set()  # of texts or numbers
    if len(values) != 2:
        return ""
    last = max(values, key=lambda value: (type(value).__name__, value))  # texts may be bytes
    text = repr(str(last)) if isinstance(last, str) else str(last)
    return f" numpy.asarray({name}) == {text} has True and False for 1 and 0."


def _hint_on_arrays(array: NDArray[Any], name: str) -> str:
    """Return what to do about arrays, such as images, that are Python objects."""
    different = different_shapes(array.flat)
    return f" {different}" if different else f" numpy.stack({name}) makes one array of its arrays."


def different_shapes(parts: Iterable[Any]) -> str:
    """Return, as a sentence, which two parts have different shapes; an empty text if none have.

    >>> different_shapes([np.ones((8, 8, 3)), np.ones((8, 8, 3)), np.ones((8, 8))])
    'Rows of one array have one shape, but row 0 has (8, 8, 3) and row 2 has (8, 8).'
    """
    first = None
    for i, part in enumerate(parts):
        try:
            shape = np.shape(part)
        except (TypeError, ValueError):  # ragged itself
            return ""
        first = shape if first is None else first
        if shape != first:
            return (
                f"Rows of one array have one shape, but row 0 has {first} and row {i} has {shape}."
            )
    return ""


def _missing_text(array: NDArray[Any]) -> str:
    """Return which row has a missing value and what to do; an empty text if none has."""
    missing = next((i for i, cell in enumerate(array.flat) if _is_missing(cell)), -1)
    return no_value(_row(array, missing)) if missing >= 0 else ""


def no_value(row: int) -> str:
    """Return what to do about a row without a value."""
    return f" Row {row} has no value: fill it, or leave the row out."


def _row(array: NDArray[Any], position: int) -> int:
    return position // max(1, array.size // len(array))


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, float | np.floating):
        return bool(cell != cell)
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")
