"""Columns as inputs: numbers standardized, an input for each category, dates by their parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.tables.cells import (
    Numbers,
    is_missing,
    is_nearly_all,
    key_of,
    read_numbers,
)
from chainrule.cli.tables.dates import (
    CALENDAR,
    CLOCK,
    FORMS,
    ORDERS,
    iso,
    order_of,
    parse_date,
    read_dates,
)
from chainrule.cli.tables.reading import RawTable
from chainrule.cli.tables.scaling import standardize
from chainrule.utils.wording import plural

MOST_SHOWN = 20  # categories in an error


@dataclass(frozen=True)
class Column(ABC):
    """How the cells of one column become inputs.

    Attributes
    ----------
    name : str
    forced : bool
        Whether the user decided its kind: then any number of cells may be of another one, and of
        a category's cells only empty ones are missing.
    """

    name: str
    forced: bool = False

    kind: ClassVar[str]
    joint: ClassVar[str] = "="

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """The inputs' names within the column; one that is empty is the column's own."""

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        return self.name_inputs()

    def name_inputs(self, quote: Callable[[str], str] = str) -> list[str]:
        """Return the names of the inputs, with their parts quoted by a function."""
        return [
            f"{self.name}{self.joint}{quote(part)}" if part else self.name for part in self.parts
        ]

    @abstractmethod
    def encode(self, table: RawTable) -> Numbers:
        """Return the inputs, of shape (rows, inputs); ValueError names column and line."""

    @abstractmethod
    def is_valid(self) -> bool:
        """Tell whether a column from a file can be used; its types are checked before."""

    @property
    def expected(self) -> str:
        """What a cell should be, in a message."""
        return self.kind

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :func:`from_json`."""
        return {"kind": self.kind} | {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in vars(self).items()
        }

    def _fill(
        self, table: RawTable, values: Numbers, odd: list[int], fill: float | None, shown: str
    ) -> Numbers:
        """Replace NaN by ``fill``, which ``shown`` describes; add notes of that to the table."""
        missing = np.flatnonzero(np.isnan(values))
        if not missing.size:
            return values
        empty = sorted({*missing.tolist()} - {*odd})
        if odd and (fill is None or not self.forced):
            present = len(values) - len(empty)
            if fill is None or not is_nearly_all(len(odd), present):
                cell = table.column(self.name)[odd[0]]
                raise table.error(
                    odd[0], self.name, f"expected a {self.expected}, but it is {cell!r}"
                )
        if fill is None:
            raise self._missing(table, empty[0])
        if odd:
            table.notes.append(
                f"Column {self.name!r}: {plural(len(odd), 'cell')} that {are(len(odd))} no "
                f"{self.expected} ({table.places(self.name, odd)}), replaced by {shown}."
            )
        if empty:
            table.notes.append(filled(self.name, len(empty), shown))
        return np.where(np.isnan(values), fill, values)

    def _missing(self, table: RawTable, row: int) -> ValueError:
        cell = table.column(self.name)[row]
        what = f"is missing ({cell!r})" if cell else "is empty"
        return table.error(
            row, self.name, f"the cell {what}; train without --no-impute to fill missing cells"
        )


@dataclass(frozen=True)
class Number(Column):
    """A number, standardized.

    Attributes
    ----------
    mean, scale : float
    fill : float or None
        The value of a missing cell; None if a missing cell is an error.
    unit, decimal : str
        What stands beside the numbers, such as ``%``; the separator where a file does not tell.
    """

    mean: float = 0.0
    scale: float = 1.0
    fill: float | None = None
    unit: str = ""
    decimal: str = "."

    kind = "number"
    parts = ("",)

    @property
    def expected(self) -> str:
        return f"number in {self.unit}" if self.unit else self.kind

    def encode(self, table: RawTable) -> Numbers:
        cells = read_numbers(table.column(self.name), table.decimal or self.decimal, self.unit)
        note_groups(table, self.name, cells.grouped)
        shown = "" if self.fill is None else f"{self.fill:.6g}"
        values = self._fill(table, cells.values, cells.odd, self.fill, shown)
        return standardize(table, self.name, values, self.mean, self.scale)[:, None]

    def is_valid(self) -> bool:
        return self.scale > 0 and self.decimal in (".", ",")


@dataclass(frozen=True)
class Category(Column):
    """One input for each category; of numbers, the value tells categories apart.

    Attributes
    ----------
    categories : tuple of str
    fill : str or None
        The category of a missing cell; None if a missing cell is an error.
    """

    categories: tuple[str, ...] = ()
    fill: str | None = None

    kind = "category"

    @property
    def parts(self) -> tuple[str, ...]:
        return self.categories

    def encode(self, table: RawTable) -> Numbers:
        numbers = self.encode_numbers(table)
        result = np.zeros((len(numbers), len(self.categories)))
        result[np.arange(len(numbers)), numbers] = 1
        return result

    def encode_numbers(self, table: RawTable) -> NDArray[np.int64]:
        """Return the number of each row's category."""
        cells = table.column(self.name)
        number = {key_of(category): i for i, category in enumerate(self.categories)}
        number |= {category: i for i, category in enumerate(self.categories)}
        in_any_case = self._codes_in_any_case()
        code_of: dict[str, int | None] = {}
        missing = 0
        for row, cell in enumerate(cells):
            if is_missing(cell, self.forced):
                if self.fill is None:
                    raise self._missing(table, row)
                missing += 1
                code_of[cell] = number[self.fill]
            elif cell not in code_of:
                code = number.get(cell, number.get(key_of(cell)))
                if code is None:
                    code = in_any_case.get(cell.casefold())
                code_of[cell] = code
                if code is None:
                    known = ", ".join(self.categories[:MOST_SHOWN])
                    more = ", ..." if len(self.categories) > MOST_SHOWN else ""
                    raise table.error(row, self.name, f"{cell!r} is none of {known}{more}")
        if missing:
            table.notes.append(filled(self.name, missing, repr(self.fill)))
        return np.array([code_of[cell] for cell in cells], np.int64)

    def _codes_in_any_case(self) -> dict[str, int]:
        """Return categories' numbers by names without case, but of those that differ by case."""
        folded = [category.casefold() for category in self.categories]
        counts = Counter(folded)
        return {name: i for i, name in enumerate(folded) if counts[name] == 1}

    def is_valid(self) -> bool:
        different = len(set(self.categories)) == len(self.categories) > 0
        return different and all(self.categories) and self.fill in (None, *self.categories)


PERIODS = ("month", "day", "weekday", "hour")
DATE_PARTS = ("time", "year", *PERIODS)


@dataclass(frozen=True)
class Date(Column):
    """A date or a time of day, as days since 1970 and parts of the calendar.

    Attributes
    ----------
    units : tuple of str
        Of ``DATE_PARTS``. ``"time"`` is the date itself, ``"year"`` the first day of its year, both
        standardized; any other is a place in a period: two inputs, its sine and cosine.
    order : str
        Of day and month in 1/2/2000, ``"mdy"`` or ``"dmy"``.
    form : str
        ``"date"``, with or without a time, or ``"time"`` of day.
    mean, scale : float
        Of the days.
    fill : float or None
        The days for a missing cell; None if a missing cell is an error.
    """

    units: tuple[str, ...] = ("time",)
    order: str = ORDERS[0]
    mean: float = 0.0
    scale: float = 1.0
    fill: float | None = None
    form: str = CALENDAR

    kind = "date"
    joint = "."

    @property
    def expected(self) -> str:
        return "time of day" if self.form == CLOCK else self.kind

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(
            name
            for unit in self.units
            for name in (
                (f"{unit} sin", f"{unit} cos")
                if unit in PERIODS
                else ("" if unit == "time" else unit,)
            )
        )

    def encode(self, table: RawTable) -> Numbers:
        cells = read_dates(table.column(self.name), self.order, self.form)
        if cells.odd:
            self._check_order(table, cells.odd)
        shown = "" if self.fill is None else self.show(self.fill)
        days = self._fill(table, cells.values, cells.odd, self.fill, shown)
        return np.hstack([self._encode_unit(table, days, unit) for unit in self.units])

    def _check_order(self, table: RawTable, odd: list[int]) -> None:
        """Raise ValueError if more cells are dates with day and month in the other order."""
        cells = table.column(self.name)
        if order_of(cells) in (None, self.order):
            return
        other = next(order for order in ORDERS if order != self.order)
        for row in odd:
            if parse_date(cells[row], other) is not None:
                first = "month" if self.order == ORDERS[0] else "day"
                raise table.error(
                    row, self.name, f"expected a date with the {first} first, not {cells[row]!r}"
                )

    def show(self, days: float) -> str:
        """Return a date, or a time if the column is one of times of day."""
        return iso(days + 1)[11:] or "00:00:00" if self.form == CLOCK else iso(days)

    def _encode_unit(self, table: RawTable, days: Numbers, unit: str) -> Numbers:
        if unit in PERIODS:
            angle = 2 * np.pi * place_in_period(days, unit)
            return np.stack([np.sin(angle), np.cos(angle)], axis=1)
        if unit == "year":
            years = np.floor(days).astype("datetime64[D]").astype("datetime64[Y]")
            days = years.astype("datetime64[D]").astype(float)
        return standardize(table, self.name, days, self.mean, self.scale)[:, None]

    def is_valid(self) -> bool:
        return (
            self.scale > 0
            and self.order in ORDERS
            and self.form in FORMS
            and len(set(self.units)) == len(self.units) > 0
            and set(self.units) <= {*DATE_PARTS}
            and (self.fill is None or abs(self.fill) < 4e6)
        )


def place_in_period(days: Numbers, unit: str) -> Numbers:
    """Return where in its year, month, week or day a date is, from 0 to 1.

    >>> place_in_period(np.array([0.25]), "hour"), place_in_period(np.array([31.0]), "month")
    (array([0.25]), array([0.08333333]))
    """
    whole = np.floor(days)
    if unit == "hour":
        return np.asarray((days - whole).round(9))  # 08:30 has other last digits each day
    if unit == "weekday":
        return np.asarray((whole + 3) % 7 / 7)  # 1970 began on a Thursday
    dates = whole.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    if unit == "month":
        return np.asarray(months.astype(int) % 12 / 12)
    return np.asarray((dates - months).astype(int) / 31)


def are(count: int) -> str:
    """Return the verb of so many things."""
    return "is" if count == 1 else "are"


def note_groups(table: RawTable, name: str, rows: list[int]) -> None:
    """Add the note of thousands separators in these rows, which may be meant as decimal ones."""
    if rows:
        places = table.places(name, rows)
        table.notes.append(f"Column {name!r}: thousands separators are removed ({places}).")


def filled(name: str, count: int, shown: str) -> str:
    """Return the note of cells that were missing."""
    return f"Column {name!r}: {plural(count, 'missing cell')}, replaced by {shown}."


KINDS: dict[str, type[Column]] = {kind.kind: kind for kind in (Number, Category, Date)}


def from_json(item: Any) -> Column:
    """Return a column from the result of :meth:`Column.to_json`; ValueError if it is wrong."""
    item = dict(item)
    if "kind" not in item:  # before there were dates: every column had all fields
        is_number = not item["categories"]
        item["kind"] = Number.kind if is_number else Category.kind
        for field in ("categories",) if is_number else ("mean", "scale"):
            item.pop(field)
    kind = KINDS[item.pop("kind")]
    for key, default in vars(kind("")).items():
        value = item.get(key, default)
        if isinstance(default, tuple) and isinstance(value, list):
            item[key] = value = tuple(value)
        if not _has_type(value, default, optional=key == "fill", number=kind is not Category):
            raise ValueError(f"the description of a column has a wrong {key}")
    column = kind(**item)
    if not column.name or not column.is_valid():
        raise ValueError("the description of a column is wrong")
    return column


def _has_type(value: Any, default: Any, *, optional: bool, number: bool) -> bool:
    if optional:
        return value is None or (_is_finite(value) if number else isinstance(value, str))
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(isinstance(text, str) for text in value)
    return _is_finite(value) if isinstance(default, float) else type(value) is type(default)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and isfinite(value)
