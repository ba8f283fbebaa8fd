"""Tables and columns of pandas, polars and Arrow: their dtypes, and errors if these are wrong."""

from __future__ import annotations

from datetime import date, timedelta
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import shortened

REAL = "biuf"  # the kinds of dtypes that hold real numbers
LABELS = "integer class labels"
NUMBERS = (Real, np.bool_)  # what a cell is
UNIQUE = " numpy.unique(y, return_inverse=True) returns the classes and each row's label."
ENCODE = (
    " Encode it as numbers: a column for each of its values, by pandas.get_dummies or "
    "scikit-learn's OneHotEncoder."
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
        where, dtype = "its dtype", _dtype_text(value, array)
    else:
        array = np.asarray(cells)
        where, dtype = f"the dtype of its column {shortened(column)}", _dtype_text(cells, array)
    hint = _hint(cells, array, what, of_table=column is not None)
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


def _hint(cells: Any, array: NDArray[Any], what: str, *, of_table: bool) -> str:
    """Return the first cell that is no number, and a remedy."""
    wrong = ((i, cell) for i, cell in enumerate(array.flat) if not isinstance(cell, NUMBERS))
    known = (pair for pair in wrong if not _is_missing(pair[1]))
    position, cell = next(known, (-1, None))
    if array.dtype.kind == "M" or isinstance(cell, date | timedelta):
        return " Convert dates to numbers, such as the days since the first one."
    is_feature = of_table or array.ndim > 1
    if _dtype_text(cells, array).lower().startswith(("categor", "enum", "dictionary")):
        if is_feature:
            return ENCODE
        codes = ".to_physical()" if hasattr(cells, "to_physical") else ".cat.codes"
        return f" Its {codes} has a number for each category." if what == LABELS else ""
    if array.dtype.kind not in "OSU" or array.ndim == 0:
        return ""
    if position < 0:
        return " Its astype(float) has the numbers." if hasattr(cells, "astype") else ""
    row = position // max(1, array.size // len(array))
    if not isinstance(cell, str):
        return f" Row {row} has {shortened(cell)}."
    remedy = UNIQUE if what == LABELS else ENCODE if is_feature else ""
    some_are_numbers = any(isinstance(cell, NUMBERS) for cell in array.flat)
    return f" Row {row} has {shortened(str(cell))}.{'' if some_are_numbers else remedy}"


def _is_missing(cell: Any) -> bool:
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")
