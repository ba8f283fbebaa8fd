"""Which kind of column a table's cells are, and the encoding fitted to its training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.tables.cells import (
    MISSING_NAME,
    Numbers,
    is_missing,
    is_nearly_all,
    key_of,
    read_numbers,
    sort_names,
)
from chainrule.cli.tables.columns import (
    PERIODS,
    Category,
    Column,
    Date,
    Number,
    place_in_period,
)
from chainrule.cli.tables.dates import ORDERS, are_dates, order_of, read_dates
from chainrule.cli.tables.overrides import Override
from chainrule.cli.tables.reading import RawTable
from chainrule.cli.tables.scaling import is_constant, moments
from chainrule.utils.wording import plural

Rows = NDArray[np.int64]

MOST_CATEGORIES = 100  # of an input column
MOST_SHOWN = 5
ROW_NAMES = frozenset(("rownames", "row.names", "row_names"))  # or pandas' Unnamed: 0


@dataclass(frozen=True)
class Reading:
    """How a column was read; ``column`` is None if it was left out."""

    name: str
    read_as: str
    note: str
    column: Column | None = None


def left_out(name: str, why: str) -> Reading:
    """Return the reading of a column that is no input."""
    return Reading(name, "left out", why)


def kind_of(table: RawTable, name: str) -> str:
    """Return the kind that nearly all cells of a column are of."""
    cells = table.column(name)
    numbers = read_numbers(cells, table.decimal or ".")
    found = int(np.count_nonzero(~np.isnan(numbers.values)))
    if is_nearly_all(len(numbers.odd), found + len(numbers.odd)):
        return Number.kind
    return Date.kind if are_dates(cells) else Category.kind


def fit_column(
    table: RawTable, name: str, rows: Rows, impute: bool, override: Override | None = None
) -> Reading:
    """Return how a column is read: its kind by all cells, what it learns by those of ``rows``."""
    cells = table.column(name)
    if override is None:
        if name.lower() in ROW_NAMES or name.startswith("Unnamed: 0"):
            return left_out(name, "its name says that it holds row numbers")
        if all(map(is_missing, cells)):
            return left_out(name, "it is empty")
    kind = override.kind if override else kind_of(table, name)
    if name == table.unnamed and override is None and kind != Date.kind and _all_differ(cells):
        return left_out(
            name,
            f"no name, and another value in each row (such as {cells[0]!r}): taken for row numbers "
            f'or names; --columns "{name}={kind}" keeps it',
        )
    if kind == Number.kind:
        return _fit_number(table, name, rows, impute, override is not None)
    if kind == Date.kind:
        return _fit_date(table, name, rows, impute, override)
    return _fit_category(table, name, rows, impute, override is not None)


def _all_differ(cells: Sequence[str]) -> bool:
    return len(set(cells)) == len(cells)


def _fit_number(table: RawTable, name: str, rows: Rows, impute: bool, forced: bool) -> Reading:
    cells = read_numbers(table.column(name), table.decimal or ".")
    if forced:
        _check_any(table, name, Number.kind, cells.values)
    seen = _seen(cells.values, rows)
    if not seen.size:
        return left_out(name, "no training row has a number in it")
    if is_constant(seen):
        return left_out(name, f"it is {seen[0]:.6g} in all training rows")
    fill = float(np.median(seen)) if impute else None
    column = Number(name, forced, *moments(seen), fill, cells.unit, cells.decimal)
    notes = [f"in {cells.unit}"] if cells.unit else []
    notes += ["with thousands separators"] if cells.grouped else []
    shown = None if fill is None else f"the median {fill:.6g}"
    return Reading(
        name,
        Number.kind,
        _notes(notes, table, name, cells.values, cells.odd, shown),
        column,
    )


def _fit_date(
    table: RawTable, name: str, rows: Rows, impute: bool, override: Override | None
) -> Reading:
    if override:
        orders = [override.order] if override.order else ORDERS
        read = (read_dates(table.column(name), order).values for order in orders)
        kind = f"{Date.kind}:{override.order}" if override.order else Date.kind
        _check_any(table, name, kind, np.hstack(list(read)))
    order = (override and override.order) or order_of(
        cell for cell in table.column(name) if not is_missing(cell)
    )
    if order is None:
        return left_out(
            name,
            "dates whose order of day and month is not clear: --columns "
            f"{name}=date:mdy or {name}=date:dmy",
        )
    cells = read_dates(table.column(name), order)
    seen = _seen(cells.values, rows)
    if not seen.size:
        return left_out(name, "no training row has a date in it")
    asked = override.units if override else ("time",)
    varying = not is_constant(seen)
    units = tuple(
        unit
        for unit in asked
        if varying and (unit not in PERIODS or not is_constant(place_in_period(seen, unit)))
    )
    if not units:
        what = (
            f"{name} by {', '.join(asked)}"
            if varying
            else Date(name, form=cells.form).show(seen[0])
        )
        return left_out(name, f"it is the same in all training rows: {what}")
    fill = float(np.median(seen)) if impute else None
    column = Date(name, override is not None, units, order, *moments(seen), fill, cells.form)
    notes = [f"{column.show(seen.min())} to {column.show(seen.max())}"]
    if units != ("time",):
        notes.append(f"by {', '.join(units)}")
    shown = None if fill is None else f"the median {column.show(fill)}"
    return Reading(
        name, Date.kind, _notes(notes, table, name, cells.values, cells.odd, shown), column
    )


def _fit_category(table: RawTable, name: str, rows: Rows, impute: bool, forced: bool) -> Reading:
    cells = table.column(name)
    categories = category_names(cells, forced)
    if not forced and (len(categories) > MOST_CATEGORIES or len(categories) > len(cells) / 2):
        return left_out(
            name,
            f"text of {len(categories):,} different values in {plural(len(cells), 'row')} "
            f"(such as {categories[-1]!r}); --columns {name}=category keeps it",
        )
    seen: Counter[str] = Counter()
    for cell, count in Counter(cells[row] for row in rows).items():
        seen[MISSING_NAME if is_missing(cell, forced) else key_of(cell)] += count
    if not impute:
        del seen[MISSING_NAME]
    if len(seen) < 2:
        return left_out(name, f"it is {', '.join(map(repr, seen))} in all training rows")
    fill = None
    missing = sum(is_missing(cell, forced) for cell in cells)
    if impute:
        most = seen.most_common(1)[0][0]
        spelled = {key_of(category): category for category in categories}
        fill = MISSING_NAME if MISSING_NAME in seen else spelled[most]
        if fill == MISSING_NAME and fill not in categories:
            categories = (*categories, fill)
    shown = ", ".join(categories[:MOST_SHOWN])
    notes = [shown + (", ..." if len(categories) > MOST_SHOWN else "")]
    if missing and fill:
        notes.append(f"{plural(missing, 'missing cell')}: {fill!r}")
    column = Category(name, forced, categories, fill)
    return Reading(name, f"category of {len(categories)}", "; ".join(notes), column)


def category_names(cells: Sequence[str], verbatim: bool) -> tuple[str, ...]:
    """Return the categories of cells in order; of the spellings of a number, the most frequent."""
    spellings = Counter(cell for cell in cells if not is_missing(cell, verbatim))
    names: dict[str, str] = {}
    for cell, _ in spellings.most_common():
        names.setdefault(key_of(cell), cell)
    return sort_names(names.values())


def _check_any(table: RawTable, name: str, kind: str, values: Numbers) -> None:
    """Raise ValueError if no cell is of the kind that the user decided."""
    if np.isnan(values).all():
        cells = table.column(name)
        such = next((cell for cell in cells if not is_missing(cell)), cells[0])
        raise ValueError(
            f"{table.path}: --columns {name}={kind}, but no cell of {name!r} can be read so "
            f"(such as {such!r})."
        )


def _seen(values: Numbers, rows: Rows) -> Numbers:
    seen = values[rows]
    return seen[~np.isnan(seen)]


def _notes(
    notes: list[str], table: RawTable, name: str, values: Numbers, odd: list[int], shown: str | None
) -> str:
    """Return notes, with those of the cells that hold no value, which ``shown`` replaces."""
    missing = int(np.isnan(values).sum()) - len(odd)
    if missing and shown:
        notes.append(f"{plural(missing, 'missing cell')}: {shown}")
    if odd and shown:
        places = table.places(name, odd)
        notes.append(f"{plural(len(odd), 'odd cell')} ({places}): {shown}")
    return "; ".join(notes)


def choose_columns(
    table: RawTable,
    target: Number | Category,
    rows: Rows,
    *,
    drop: Sequence[str] = (),
    impute: bool = True,
    overrides: Mapping[str, Override] | None = None,
) -> list[Reading]:
    """Return how each column beside the target is read.

    Raises
    ------
    ValueError
        If none is left as an input, or ``drop`` has the target, or a column of ``overrides``.
    """
    overrides = overrides or {}
    for name in drop:
        table.column(name)
        if name == target.name:
            raise ValueError(f"--drop {name} would leave out the target.")
        if name in overrides:
            raise ValueError(f"--drop {name} contradicts --columns {name}={overrides[name].kind}.")
    names = [name for name in table.columns if name != target.name]
    readings = [
        left_out(name, "--drop")
        if name in drop
        else fit_column(table, name, rows, impute, overrides.get(name))
        for name in names
    ]
    if not names:
        raise ValueError(f"{table.path} has no column beside the target {target.name!r}.")
    if not any(reading.column for reading in readings):
        why = "".join(f"\n  {reading.name}: {reading.note}" for reading in readings)
        raise ValueError(f"{table.path} has no column left beside the target {target.name!r}.{why}")
    return readings
