"""Tables of numbers and categories: read from .csv files, and encoded as a network's inputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import floor, log10
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets.readers import read_rows

MISSING = frozenset(("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"))
MOST_CATEGORIES = 50  # of an input column
MOST_CLASSES = 20  # whole numbers of at most so many distinct values are classes by default
CLASSIFICATION, REGRESSION = "classification", "regression"
LARGEST = float(np.finfo(np.float32).max)  # networks compute in float32
DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ].*)?")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class RawTable:
    """The cells of a file: columns by name, and the line of each row."""

    path: str
    columns: dict[str, list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """Return a column's cells; ValueError if there is no such column."""
        if name not in self.columns:
            hint = "" if len(self.columns) > 1 else " Cells are separated by commas."
            raise ValueError(
                f"{self.path} has no column {name!r}; its columns are {', '.join(self.columns)}."
                f"{hint}"
            )
        return self.columns[name]

    def error(self, row: int, name: str, text: str) -> ValueError:
        """Return the error that names line and column."""
        return ValueError(f"{self.path}, line {self.lines[row]}, column {name!r}: {text}")

    def numbers(self, name: str) -> Numbers | None:
        """Return a column as numbers, NaN for missing cells; None if a cell is not a number.

        Raises
        ------
        ValueError
            If one is too large for float32.
        """
        cells = self.column(name)
        if not all(map(_is_number, cells)):
            return None
        values = np.array([float("nan" if cell in MISSING else cell) for cell in cells])
        for row in np.flatnonzero(np.abs(values) > LARGEST)[:1]:
            raise self.error(row, name, f"{cells[row]} is too large for float32")
        return values

    def refuse_missing(self, name: str, text: str) -> None:
        """Raise ValueError if a cell of the column is missing."""
        for row, cell in enumerate(self.column(name)):
            if cell in MISSING:
                raise self.error(row, name, text)

    def text_error(self, name: str, expected: str) -> ValueError:
        """Return the error for the first cell of the column that is not a number."""
        cells = self.column(name)
        row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
        return self.error(row, name, f"{expected}, but it is {cells[row]!r}")


def _is_number(cell: str) -> bool:
    """Tell whether a cell is missing or a number; unlike in Python, 1_2 is not a number."""
    try:
        return cell in MISSING or ("_" not in cell and float(cell) == float(cell))
    except ValueError:
        return False


def read_table(path: str | PathLike[str]) -> RawTable:
    """Read a .csv file whose first row holds the columns' names.

    Raises
    ------
    ValueError
        If it is not text, has no rows or rows of different lengths, or a column's name is empty or
        not unique.
    OSError
        If it cannot be read.
    """
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, cells in read_rows(path):
        if not names:
            names = [cell.strip() for cell in cells]
            twice = [name for name, count in Counter(names).items() if count > 1 or not name]
            if twice:
                raise ValueError(
                    f"{path}, line {line}: each column needs a unique name, but {twice[0]!r} is "
                    "empty or occurs twice."
                )
            continue
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} cells as in the header, "
                f"but there are {len(cells)}."
            )
        rows.append(cells)
        lines.append(line)
    if not rows:
        raise ValueError(f"{path} must have a header and at least one row, but it has none.")
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    return RawTable(str(path), dict(zip(names, columns, strict=True)), lines)


@dataclass(frozen=True)
class Column:
    """How one column becomes inputs: a number standardized, or one input for each category.

    Attributes
    ----------
    name : str
    mean, scale : float
        Of a number; a column that never changes has scale 1.
    categories : tuple of str
        Empty for a number.
    fill : float, str or None
        The value of a missing cell; None if a missing cell is an error.
    """

    name: str
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    fill: float | str | None = None

    @classmethod
    def fit(cls, table: RawTable, name: str, rows: NDArray[np.int64], impute: bool) -> Column:
        """Compute mean, scale and fill from these rows, and the categories from the whole table.

        If the column is empty in these rows, the others are used.
        """
        cells = table.column(name)
        present = [cell for cell in cells if cell not in MISSING]
        if not present:
            raise ValueError(f"{table.path}: column {name!r} is empty; leave it out: --drop {name}")
        values = table.numbers(name)
        if values is None:
            _refuse_dates(table, name, present)
            categories = tuple(sorted(set(present)))
            if len(categories) > MOST_CATEGORIES:
                raise ValueError(
                    f"{table.path}: column {name!r} holds text of {len(categories)} different "
                    f"values (such as {present[0]!r}), more than {MOST_CATEGORIES} categories; "
                    f"leave it out: --drop {name}"
                )
            counted = [cells[row] for row in rows if cells[row] not in MISSING] or present
            most = Counter(counted).most_common(1)[0][0]
            return cls(name, categories=categories, fill=most if impute else None)
        seen = values[rows]
        seen = seen[~np.isnan(seen)]
        if not seen.size:
            seen = values[~np.isnan(values)]
        scale = float(seen.std()) if np.ptp(seen) > 0 else 0.0
        fill = float(np.median(seen)) if impute else None
        return cls(name, float(seen.mean()), scale or 1.0, (), fill)

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs: the column's, or one for each category."""
        return [f"{self.name}={category}" for category in self.categories] or [self.name]

    def encode(self, table: RawTable) -> Numbers:
        """Return the inputs, of shape (rows, 1) or (rows, categories)."""
        if self.categories:
            numbers = self.encode_categories(table)
            result = np.zeros((len(numbers), len(self.categories)))
            result[np.arange(len(numbers)), numbers] = 1
            return result
        if self.fill is None:
            self._refuse_missing(table)
        values = table.numbers(self.name)
        if values is None:
            raise table.text_error(self.name, "expected a number")
        if self.fill is not None:
            values = np.where(np.isnan(values), self.fill, values)
        values = (values - self.mean) / self.scale
        for row in np.flatnonzero(np.abs(values) > LARGEST)[:1]:
            cell = table.column(self.name)[row]
            raise table.error(row, self.name, f"{cell} is too far from the training rows' values")
        return values[:, None]

    def encode_categories(self, table: RawTable) -> NDArray[np.int64]:
        """Return the number of each row's category."""
        cells = table.column(self.name)
        if self.fill is None:
            self._refuse_missing(table)
        number: dict[Any, int] = {category: i for i, category in enumerate(self.categories)}
        filled = [self.fill if cell in MISSING else cell for cell in cells]
        for row, cell in enumerate(filled):
            if cell not in number:
                known = ", ".join(self.categories[:MOST_CATEGORIES])
                raise table.error(row, self.name, f"{cell!r} is none of {known}")
        return np.array([number[cell] for cell in filled])

    def _refuse_missing(self, table: RawTable) -> None:
        table.refuse_missing(
            self.name,
            "the cell is empty; train with --impute to fill empty cells",
        )


def _refuse_dates(table: RawTable, name: str, present: Sequence[str]) -> None:
    if all(map(DATE.fullmatch, present)):
        raise ValueError(
            f"{table.path}: column {name!r} holds dates (such as {present[0]!r}), which are not "
            "numbers or categories; replace them by numbers (days since the first one, the month, "
            f"the weekday), or leave the column out: --drop {name}"
        )


@dataclass(frozen=True)
class Encoding:
    """The conversion of a table to X and y, fitted to the training rows.

    Attributes
    ----------
    columns : tuple of Column
    target : Column
        Its categories are the classes of a classification; a number is standardized.
    """

    columns: tuple[Column, ...]
    target: Column
    task: str = field(default=REGRESSION)

    @property
    def inputs(self) -> list[str]:
        """The names of the network's inputs."""
        return [name for column in self.columns for name in column.inputs]

    @property
    def outputs(self) -> list[str]:
        """The names of the network's outputs: one for each class, or the target's."""
        return self.target.inputs

    def encode(self, table: RawTable) -> NDArray[np.float32]:
        """Return X of shape (rows, inputs); ValueError names column and line of what is wrong."""
        missing = [column.name for column in self.columns if column.name not in table.columns]
        if missing:
            raise ValueError(f"{table.path} lacks the columns {', '.join(missing)}.")
        return np.hstack([column.encode(table) for column in self.columns]).astype(np.float32)

    def encode_target(self, table: RawTable) -> NDArray[Any]:
        """Return y: class numbers, or standardized values of shape (rows, 1)."""
        if self.task == CLASSIFICATION:
            return self.target.encode_categories(table)
        return self.target.encode(table).astype(np.float32)

    def decode(self, output: NDArray[Any]) -> list[Any]:
        """Return each row's class, or its number in the target's unit.

        Numbers are rounded to the precision of the output's dtype, relative to the deviation of the
        training targets, and one more decimal.

        >>> target = Column("julian_date", mean=2_459_000.5, scale=0.3)
        >>> Encoding((), target).decode(np.array([[0.04115226]], np.float32))
        [2459000.512345678]
        """
        if self.task == CLASSIFICATION:
            return [self.target.categories[i] for i in output.argmax(axis=1)]
        # The logarithms are added, as the product may be too small for a float.
        finest = log10(np.finfo(output.dtype).eps) + log10(self.target.scale)
        values = output[:, 0].astype(float) * self.target.scale + self.target.mean
        return [round(value, 1 - floor(finest)) for value in values.tolist()]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`."""
        plain = [
            asdict(column) | {"categories": list(column.categories)}
            for column in (*self.columns, self.target)
        ]
        return {"task": self.task, "columns": plain[:-1], "target": plain[-1]}

    @classmethod
    def from_json(cls, value: Any) -> Encoding:
        """Return the encoding from the result of :meth:`to_json`; ValueError if it is wrong."""
        try:
            columns = tuple(_column(item) for item in value["columns"])
            target, task = _column(value["target"]), value["task"]
        except (KeyError, TypeError):
            raise ValueError("it does not describe a table's columns") from None
        classes = len(target.categories)
        names = {column.name for column in (*columns, target)}
        if (
            not columns
            or len(names) <= len(columns)
            or any(len(column.categories) > MOST_CATEGORIES for column in columns)
            or task != (CLASSIFICATION if classes else REGRESSION)
            or classes == 1
            or target.fill is not None
        ):
            raise ValueError("it does not describe a table's columns and target")
        return cls(columns, target, task)


def _column(item: Any) -> Column:
    column = Column(**(item | {"categories": tuple(item["categories"])}))
    texts = (column.name, *column.categories)
    numbers = [column.mean, column.scale]
    if not column.categories and column.fill is not None:
        numbers.append(column.fill)  # type: ignore[arg-type]  # which is what is checked here
    if (
        not all(isinstance(text, str) and text for text in texts)
        or not all(isinstance(number, float) and abs(number) <= LARGEST for number in numbers)
        or not column.scale > 0
        or len(set(column.categories)) != len(column.categories)
        or (column.categories and column.fill not in (None, *column.categories))
    ):
        raise ValueError("the description of a column is wrong")
    return column


def task_of(table: RawTable, target: str) -> str:
    """Tell a classification from a regression: text, or few whole numbers, are classes."""
    values = table.numbers(target)
    if values is None:
        return CLASSIFICATION
    different = np.unique(values)
    whole = bool((different == np.round(different)).all())
    return CLASSIFICATION if whole and len(different) <= MOST_CLASSES else REGRESSION


def fit_encoding(
    table: RawTable,
    target: str,
    rows: NDArray[np.int64],
    *,
    task: str | None = None,
    drop: Sequence[str] = (),
    impute: bool = False,
) -> Encoding:
    """Return the encoding fitted to ``rows`` of a table; errors name the column and a remedy."""
    cells = table.column(target)
    for name in drop:
        table.column(name)
    table.refuse_missing(target, "the target is missing; leave the row out")
    names = [name for name in table.columns if name != target and name not in drop]
    if not names:
        raise ValueError(f"{table.path} has no column left beside the target {target!r}.")
    task = task or task_of(table, target)
    if task == CLASSIFICATION:
        _refuse_dates(table, target, cells)
        goal = Column(target, categories=tuple(sorted(set(cells))))
        if not 2 <= len(goal.categories) <= len(cells) / 2:
            raise ValueError(
                f"{table.path}: the target {target!r} has {len(goal.categories)} different values "
                f"in {len(cells)} rows; classes are expected to be two or more, of several rows."
            )
    else:
        if table.numbers(target) is None:
            raise table.text_error(target, "a regression needs a number")
        goal = Column.fit(table, target, rows, False)
    return Encoding(tuple(Column.fit(table, name, rows, impute) for name in names), goal, task)
