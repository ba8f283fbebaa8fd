"""Tables from .csv files: their separator, their header, and the line of each row."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from os import PathLike

from chainrule.cli.tables.cells import decimal_of, parse_number
from chainrule.cli.tables.header import (
    Line,
    lengths,
    name_columns,
    skip_preamble,
    split_header,
    without_notes,
)
from chainrule.datasets.readers import read_rows

SEPARATORS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    " ": "blanks",
}
SAMPLE = 100  # rows that the separator is chosen by


@dataclass(frozen=True)
class RawTable:
    """The cells of a file: columns by name, and the line of each row.

    Attributes
    ----------
    path : str
    columns : dict
        The cells of each column, without spaces around them.
    lines : list of int
    decimal : str or None
        The decimal separator, where some number tells it.
    unnamed : str or None
        What the first column is called, if it has no name in the file.
    notes : list of str
        What a user should know of how the file was read, and later, of how it was encoded.
    """

    path: str
    columns: dict[str, list[str]]
    lines: list[int]
    decimal: str | None = None
    unnamed: str | None = None
    notes: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        """Return a column's cells; ValueError if there is no such column."""
        if name not in self.columns:
            *most, last = SEPARATORS.values()
            separators = f" Cells are separated by {', '.join(most)} or {last}."
            hint = "" if len(self.columns) > 1 else separators
            raise ValueError(
                f"{self.path} has no column {name!r}; its columns are {', '.join(self.columns)}."
                f"{hint}"
            )
        return self.columns[name]

    def error(self, row: int, name: str, text: str) -> ValueError:
        """Return the error that names line and column."""
        return ValueError(f"{self.path}, line {self.lines[row]}, column {name!r}: {text}")

    def places(self, name: str, rows: Sequence[int], most: int = 3) -> str:
        """Return where the cells of these rows are, and what they say."""
        cells = self.columns[name]
        shown = ", ".join(f"line {self.lines[row]}: {cells[row]!r}" for row in rows[:most])
        return shown + (f" and {len(rows) - most:,} more" if len(rows) > most else "")

    def without(self, rows: Sequence[int]) -> RawTable:
        """Return the table without these rows."""
        left_out = set(rows)
        kept = [row for row in range(len(self.lines)) if row not in left_out]
        columns = {name: [cells[row] for row in kept] for name, cells in self.columns.items()}
        lines = [self.lines[row] for row in kept]
        return replace(self, columns=columns, lines=lines)


def read_table(path: str | PathLike[str]) -> RawTable:
    """Read a .csv file whose first row holds the columns' names.

    Raises
    ------
    ValueError
        If it is not text, has no header or no rows, or rows of different lengths, or if a column's
        name occurs twice.
    OSError
        If it cannot be read.
    """
    notes: list[str] = []
    encoding = _encoding(path, notes)
    declared = _declared_separator(path, encoding)
    separator = declared or _separator(path, encoding)
    if separator != ",":
        notes.append(f"Cells are separated by {SEPARATORS[separator]}.")
    lines = [
        (line, list(map(str.strip, cells))) for line, cells in read_rows(path, separator, encoding)
    ][declared is not None :]
    if len(lines) < 2:
        raise ValueError(f"{path} must have a header and at least one row, but it has none.")
    names, rows = split_header(str(path), lines, notes)
    cells = [list(column) for column in zip(*(cells for _, cells in rows), strict=True)]
    columns = name_columns(names, cells, notes)
    decimal = _decimal(columns, separator)
    if decimal == ",":
        notes.append("Numbers have decimal commas.")
    first = next(iter(columns), None)
    unnamed = None if first in names else first
    return RawTable(str(path), columns, [line for line, _ in rows], decimal, unnamed, notes)


def _encoding(path: str | PathLike[str], notes: list[str]) -> str:
    """Return the encoding: UTF-8, UTF-16 with its mark, or else what Windows uses for English."""
    with open(path, "rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            notes.append("The file is in UTF-16.")
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        is_binary = False
        try:
            while block := file.read(1 << 20):
                is_binary = is_binary or b"\0" in block
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            if is_binary:
                return "utf-8-sig"  # an error that names the line
            notes.append("The file is not in UTF-8; it is read as Windows-1252.")
            return "cp1252"
    return "utf-8-sig"


def _declared_separator(path: str | PathLike[str], encoding: str) -> str | None:
    """Return the separator that a first line such as ``sep=;`` declares, as Excel writes it."""
    with open(path, encoding=encoding, errors="replace") as file:
        found = re.fullmatch(rf'"?sep=([{"".join(SEPARATORS)}])"?\n?', file.readline(), re.I)
    return found[1] if found else None


def _separator(path: str | PathLike[str], encoding: str) -> str:
    """Return the separator that gives rows as long as the header; of several, most cells."""
    samples: dict[str, Sequence[Line]] = {}
    for separator in SEPARATORS:
        samples[separator] = []
        with suppress(ValueError):  # by another separator, a quote may open a cell without an end
            lines = list(islice(read_rows(path, separator, encoding), SAMPLE))
            samples[separator] = without_notes(lines)
    *marks, blank = SEPARATORS
    for skipped in (lambda lines: 0), skip_preamble:  # decimal commas look like a longer table
        for separators in marks, [blank]:  # names may have blanks
            counts = {sep: _columns(samples[sep][skipped(samples[sep]) :]) for sep in separators}
            best = max(counts, key=counts.__getitem__)
            if counts[best]:
                return best
    return ","


def _columns(lines: Sequence[Line]) -> int:
    """Return the number of columns; 0 if there is one, or rows are not as long as the header."""
    if not lines:
        return 0
    columns = len(lines[0][1])
    found = lengths(cells for _, cells in lines[1:])
    return columns if columns > 1 and found in ({columns}, {columns + 1}, set()) else 0


def _decimal(columns: dict[str, list[str]], separator: str) -> str | None:
    """Return the file's decimal separator, as most columns have it; None if no number tells it."""
    with_comma = [set(cells) for cells in columns.values() if "," in "".join(cells)]
    if any("," in cell and parse_number(cell, ",") for cells in with_comma for cell in cells):
        votes: Counter[str] = Counter()
        for cells in map(set, columns.values()):
            point, comma = (decimal_of(cells, default) for default in ".,")
            votes[point] += point == comma
        if votes["."] != votes[","]:
            return "." if votes["."] > votes[","] else ","
        if separator == ";":
            return ","
    has_points = any(
        "." in cell
        and parse_number(cell)
        and (separator == "," or not parse_number(cell, ","))  # 1.234 tells only between commas
        for cells in columns.values()
        for cell in cells
    )
    return "." if has_points else None
