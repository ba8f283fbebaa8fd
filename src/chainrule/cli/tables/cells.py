"""What a cell says: nothing, a number, or a name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

MISSING_NAME = "missing"  # of the category of missing cells; the word itself is one of them
MISSING = frozenset(
    ("", "?", "-", ".", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", MISSING_NAME)
)
MOST_ODD = 0.05  # of the cells that are not missing; with more, a column is of another kind


def is_missing(cell: str, verbatim: bool = False) -> bool:
    """Tell whether a cell is empty, or a usual word for that, in any case; or only if empty."""
    return not cell if verbatim else cell.lower() in MISSING


class Number(NamedTuple):
    """A cell that is a number: its value, the unit beside it, whether its digits are in groups."""

    value: float
    unit: str
    grouped: bool


def _pattern(decimal: str, groups: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<sign>[+-]?)(?P<before>[$€£¥]?)\s?"
        rf"(?P<number>[+-]?(?:(?:[0-9]+|[1-9][0-9]{{0,2}}(?P<group>[{groups}])[0-9]{{3}}"
        rf"(?:(?P=group)[0-9]{{3}})*)(?:{decimal}[0-9]*)?|{decimal}[0-9]+)"
        rf"(?:[eE][+-]?[0-9]+)?)\s?(?P<after>[%€£¥]?)"
    )


MINUS = "\u2212"  # typographic
SPACES = "' \u00a0\u202f"
PATTERNS = {".": _pattern(r"\.", f",{SPACES}"), ",": _pattern(",", f".{SPACES}")}


def parse_number(cell: str, decimal: str = ".") -> Number | None:
    """Return a cell's number, or None if it is none; unlike in Python, 1_2 and inf are none.

    >>> parse_number("-1.5e3")
    Number(value=-1500.0, unit='', grouped=False)
    >>> parse_number("$1,234.50")
    Number(value=1234.5, unit='$', grouped=True)
    >>> parse_number("1.234,5 %", decimal=",")
    Number(value=1234.5, unit='%', grouped=True)
    >>> parse_number("0,512")  # no group begins with 0
    """
    found = PATTERNS[decimal].fullmatch(cell.replace(MINUS, "-"))
    if found is None:
        return None
    sign, before, number, group, after = found.groups()
    if (before and after) or (sign and number[0] in "+-"):
        return None
    if group:
        number = number.replace(group, "")
    value = float(sign + number.replace(decimal, "."))
    return Number(value, before or after, group is not None) if isfinite(value) else None


@dataclass(frozen=True)
class NumberCells:
    """A column read as numbers.

    Attributes
    ----------
    values : float64 array
        NaN for cells that are missing or odd.
    odd : list of int
        The rows of cells that are not missing, and no number, or one with another unit.
    decimal, unit : str
    grouped : list of int
        The rows of numbers with thousands separators.
    """

    values: Numbers
    odd: list[int]
    decimal: str
    unit: str
    grouped: list[int]


def read_numbers(cells: Sequence[str], decimal: str, unit: str | None = None) -> NumberCells:
    """Read a column as numbers of one unit; without ``unit``, of the most frequent one.

    ``decimal`` holds unless more cells are numbers with the other decimal separator.
    """
    if not unit and (plain := _read_plain(cells, decimal)) is not None:
        return NumberCells(plain, [], decimal, "", [])
    distinct = {cell for cell in cells if not is_missing(cell)}
    decimal = decimal_of(distinct, decimal)
    parsed = {cell: parse_number(cell, decimal) for cell in distinct}
    numbers = [parsed.get(cell) for cell in cells]
    units = Counter(number.unit for number in numbers if number)
    if unit is None:
        unit = units.most_common(1)[0][0] if units else ""
    fits = [number if number and number.unit == unit else None for number in numbers]
    values = np.array([number.value if number else np.nan for number in fits])
    odd = [row for row, cell in enumerate(cells) if fits[row] is None and cell in distinct]
    grouped = [row for row, number in enumerate(fits) if number and number.grouped]
    return NumberCells(values, odd, decimal, unit, grouped)


def _read_plain(cells: Sequence[str], decimal: str) -> Numbers | None:
    """Read numbers as Python does, 30 times as fast; None unless all cells are such or missing."""
    text = "".join(cells)
    if "_" in text or (decimal == "," and "." in text):
        return None
    if decimal == ",":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        try:
            values = np.array(list(map(float, cells)))
        except ValueError:
            values = np.array([float("nan" if is_missing(cell) else cell) for cell in cells])
    except ValueError:
        return None
    return None if np.isinf(values).any() else values


def decimal_of(cells: Collection[str], default: str) -> str:
    """Return the decimal separator that makes more of the cells numbers."""
    if default == "." and not any("," in cell for cell in cells):
        return default
    point, comma = (sum(parse_number(cell, mark) is not None for cell in cells) for mark in ".,")
    if point == comma:  # such as 1,234
        return default
    return "." if point > comma else ","


def is_nearly_all(odd: int, present: int) -> bool:
    """Tell whether a column is of a kind although some cells are not: few, or one of five."""
    return present > 0 and odd <= max(MOST_ODD * present, present >= 5)


def key_of(cell: str) -> str:
    """Return what tells a category from others: of numbers the value, not the spelling.

    >>> key_of("1"), key_of("01"), key_of("1.0"), key_of("\N{MINUS SIGN}1"), key_of("1st")
    ('1', '1', '1', '-1', '1st')
    """
    cell = cell.replace(MINUS, "-")
    if not PATTERNS["."].fullmatch(cell):
        return cell
    try:
        return str(int(cell))  # exact, also beyond float64
    except ValueError:
        pass
    try:
        value = float(cell)
    except ValueError:  # with a unit, or groups of digits
        return cell
    if not isfinite(value):
        return cell
    return str(int(value)) if value.is_integer() else repr(value)


def sort_names(names: Collection[str]) -> tuple[str, ...]:
    """Return names in order: numbers by their value, before text.

    >>> sort_names(["b", "10", "2", "a"])
    ('2', '10', 'a', 'b')
    """

    def place(name: str) -> tuple[bool, float, str]:
        number = parse_number(name)
        return number is None, number.value if number else 0.0, name

    return tuple(sorted(names, key=place))
