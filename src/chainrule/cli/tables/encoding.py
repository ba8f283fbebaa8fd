"""The encoding of a table as a network's inputs and targets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.tables.cells import is_missing, read_numbers
from chainrule.cli.tables.columns import Category, Column, Number, from_json
from chainrule.cli.tables.reading import RawTable

CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass(frozen=True)
class Encoding:
    """The conversion of a table to X and y, fitted to the training rows.

    Attributes
    ----------
    columns : tuple of Column
    target : Number or Category
        A number is standardized, categories are the classes of a classification.
    """

    columns: tuple[Column, ...]
    target: Number | Category
    task: str = field(init=False)
    about = "a table"  # what it is of, for messages

    def __post_init__(self) -> None:
        is_number = isinstance(self.target, Number)
        object.__setattr__(self, "task", REGRESSION if is_number else CLASSIFICATION)

    @property
    def inputs(self) -> list[str]:
        """The names of the network's inputs; where two would be the same, parts are quoted.

        >>> category, number = Category("a", categories=("x", "y")), Number("a=x")
        >>> Encoding((category,), Number("b")).inputs
        ['a=x', 'a=y']
        >>> Encoding((category, number), Number("b")).inputs
        ['a="x"', 'a="y"', 'a=x']
        """
        quotes = 0
        while True:
            quote = partial(_quote, times=quotes)
            names = [name for column in self.columns for name in column.name_inputs(quote)]
            if len(set(names)) == len(names):
                return names
            quotes += 1  # each time the names are longer, but those of whole columns

    @property
    def target_name(self) -> str:
        """The name of the column to predict."""
        return self.target.name

    def check_file(self, path: Path, model: Path) -> None:
        """Raise ValueError if a model of this encoding takes another kind of file."""
        if path.suffix.lower() == ".npz":
            raise ValueError(f"{model} is a model of a table; it takes a .csv file, not {path}.")

    @property
    def input_shape(self) -> tuple[int]:
        """The shape of a row of the network's input."""
        return (len(self.inputs),)

    @property
    def outputs(self) -> list[str]:
        """The names of the network's outputs: one for each class, or the target's."""
        return self.target.inputs

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of a classification, none of a regression."""
        return self.target.categories if isinstance(self.target, Category) else ()

    def encode(self, table: RawTable) -> NDArray[np.float32]:
        """Return X of shape (rows, inputs); ValueError names column and line of what is wrong."""
        missing = [column.name for column in self.columns if column.name not in table.columns]
        if missing:
            what = "column" if len(missing) == 1 else "columns"
            raise ValueError(f"{table.path} lacks the {what} {', '.join(missing)}.")
        return np.hstack([column.encode(table) for column in self.columns]).astype(np.float32)

    def encode_target(self, table: RawTable) -> NDArray[Any]:
        """Return y: class numbers, or standardized values of shape (rows, 1)."""
        for row in rows_without(table, self.target)[:1]:
            raise table.error(row, self.target.name, "the target is missing")
        if isinstance(self.target, Category):
            return self.target.encode_numbers(table)
        return self.target.encode(table).astype(np.float32)

    def decode(self, output: NDArray[Any]) -> list[Any]:
        """Return each row's class, or its number in the target's unit.

        Numbers are rounded to the precision of the output's dtype, relative to the deviation of the
        training targets, and one more decimal.

        >>> target = Number("julian_date", mean=2_459_000.5, scale=0.3)
        >>> Encoding((), target).decode(np.array([[0.04115226]], np.float32))
        [2459000.512345678]
        """
        if isinstance(self.target, Category):
            return [self.target.categories[i] for i in output.argmax(axis=1)]
        # The logarithms are added, as the product may be too small for a float.
        finest = log10(np.finfo(output.dtype).eps) + log10(self.target.scale)
        values = output[:, 0].astype(float) * self.target.scale + self.target.mean
        return [round(value, 1 - floor(finest)) for value in values.tolist()]

    def by_column(self, values: NDArray[Any]) -> dict[str, Any]:
        """Return the rows of ``values``, one for each input, as lists by column.

        A column of several inputs has a dict of lists, by category or by part of a date.
        """
        result: dict[str, Any] = {}
        rows = iter(values.tolist())
        for column in self.columns:
            parts = {part: next(rows) for part in column.parts}
            result[column.name] = parts[""] if list(parts) == [""] else parts
        return result

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`."""
        columns = [column.to_json() for column in self.columns]
        return {"columns": columns, "target": self.target.to_json()}

    @classmethod
    def from_json(cls, value: Any) -> Encoding:
        """Return the encoding from the result of :meth:`to_json`; ValueError if it is wrong."""
        try:
            columns = tuple(from_json(item) for item in value["columns"])
            target = from_json(value["target"])
        except (KeyError, TypeError):
            raise ValueError("it does not describe a table's columns") from None
        names = {column.name for column in (*columns, target)}
        if (
            not columns
            or len(names) <= len(columns)
            or not isinstance(target, Number | Category)
            or (isinstance(target, Category) and len(target.parts) == 1)
            or target.fill is not None
        ):
            raise ValueError("it does not describe a table's columns and target")
        return cls(columns, target)


def _quote(text: str, times: int) -> str:
    """Quote a text as JSON does, so many times."""
    for _ in range(times):
        text = json.dumps(text, ensure_ascii=False)
    return text


def rows_without(table: RawTable, target: Column) -> list[int]:
    """Return the rows whose cell is no target."""
    cells = table.column(target.name)
    if isinstance(target, Category):
        return [row for row, cell in enumerate(cells) if is_missing(cell, target.forced)]
    assert isinstance(target, Number)
    values = read_numbers(cells, table.decimal or target.decimal, target.unit).values
    return np.flatnonzero(np.isnan(values)).tolist()
