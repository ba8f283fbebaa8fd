"""Dates and times of day in cells, as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from chainrule.cli.tables.cells import Numbers, is_missing, is_nearly_all

EPOCH = datetime(1970, 1, 1)
DAY = timedelta(days=1)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ORDERS = "mdy", "dmy"  # of 1/2/2000
CALENDAR, CLOCK = FORMS = "date", "time"  # of a day, with or without a time, or of any day

TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"\s?(?P<half>[AaPp][Mm])?\s?(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
)
WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s)?"
MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
YEAR = r"(?P<year>\d{4})"
SHORT_YEAR = r"(?P<year>\d{4}|'?\d{2})"
DATES = (
    rf"{YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})",  # 2000-1-31
    rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<other>\d{{1,2}})(?P=mark){SHORT_YEAR}",  # 1/31/85
    rf"{WEEKDAY}{MONTH}[\s-](?P<day>\d{{1,2}}),?[\s-]{YEAR}",  # Jan 31, 2000
    rf"{WEEKDAY}(?P<day>\d{{1,2}})[\s-]?{MONTH}[\s-]?{SHORT_YEAR}",  # 31 Jan 2000
    rf"{YEAR}[\s-]{MONTH}[\s-](?P<day>\d{{1,2}})",  # 2000-Jan-31
    rf"{YEAR}[-/](?P<month>\d{{1,2}})",  # 2000-01
    rf"{YEAR}[-:\s]?M(?P<month>\d{{1,2}})",  # 2000M01
    rf"{YEAR}[-:\s]?Q(?P<quarter>[1-4])",  # 2000Q1
    rf"Q(?P<quarter>[1-4])[-:\s]?{YEAR}",  # Q1 2000
    rf"{MONTH}[\s-]?{YEAR}",  # Jan 2000
    rf"{MONTH}(?:-|\s?(?='))(?P<year>'?\d{{2}})",  # Jan-00; Jan 00 may be a day
    rf"{YEAR}[\s-]?{MONTH}",  # 2000 Jan
    rf"{YEAR}(?P<month>\d{{2}})(?P<day>\d{{2}})",  # 20000131
    YEAR,
)
PATTERNS = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (TIME, *(rf"{date}(?:(?:T|,?\s){TIME})?" for date in DATES))
)


def parse_date(cell: str, order: str = "mdy") -> float | None:
    """Return the days since 1970 of a date, or the part of a day of a time; None if it is neither.

    A month or a quarter is its first day; years of two digits are 1969 to 2068.

    Parameters
    ----------
    cell : str
    order : str
        Whether 1/2/2000 has the month or the day first: ``"mdy"`` or ``"dmy"``.

    Examples
    --------
    >>> [parse_date(cell) for cell in ("1970-01-03", "1/3/70", "Jan 3 1970", "1970Q2", "06:00")]
    [2.0, 2.0, 2.0, 90.0, 0.25]
    >>> parse_date("3/1/70", "dmy"), parse_date("1970-02-30"), parse_date("may be")
    (2.0, None, None)
    """
    return _parse(cell, order, PATTERNS)[0]


def _parse(
    cell: str, order: str, patterns: Iterable[re.Pattern[str]]
) -> tuple[float | None, re.Pattern[str] | None]:
    """Return what :func:`parse_date` returns, and the pattern of the cell."""
    for pattern in patterns:
        if found := pattern.fullmatch(cell):
            try:
                return (_moment(found.groupdict(), order) - EPOCH) / DAY, pattern
            except (ValueError, OverflowError):  # such as February 30
                return None, pattern
    return None, None


def _moment(parts: dict[str, str | None], order: str) -> datetime:
    year, month, day = 1970, 1, 1
    if text := parts.get("year"):
        year = int(text.lstrip("'"))
        if len(text.lstrip("'")) == 2:
            year += 1900 if year >= 69 else 2000
    if text := parts.get("month"):
        month = int(text)
    elif text := parts.get("quarter"):
        month = 3 * int(text) - 2
    elif text := parts.get("name"):
        month = 1 + MONTHS.index(text[:3].lower())
    if text := parts.get("day"):
        day = int(text)
    if (first := parts.get("first")) and (other := parts.get("other")):
        month, day = (int(first), int(other)) if order == "mdy" else (int(other), int(first))
    return datetime(year, month, day) + _time(parts)


def _time(parts: dict[str, str | None]) -> timedelta:
    """Return the time of day, in UTC if the cell has a zone."""
    hour, minute = int(parts.get("hour") or 0), int(parts.get("minute") or 0)
    second = float((parts.get("second") or "0").replace(",", "."))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError("not an hour of twelve")
        hour = hour % 12 + 12 * (half.lower() == "pm")
    if hour > 23 or minute > 59 or second >= 61:
        raise ValueError("not a time of day")
    zone = parts.get("zone") or ""
    offset = timedelta(0)
    if zone[:1] in ("+", "-"):
        hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    return timedelta(hours=hour, minutes=minute, seconds=second) - offset


@dataclass(frozen=True)
class DateCells:
    """A column read as dates, or as times of day.

    Attributes
    ----------
    values : float64 array
        Days since 1970, or parts of a day; NaN for cells that are missing or odd.
    odd : list of int
        The rows of cells that are not missing, and no date, or one of the other form.
    form : str
        Of ``FORMS``.
    """

    values: Numbers
    odd: list[int]
    form: str


def read_dates(cells: Sequence[str], order: str, form: str | None = None) -> DateCells:
    """Read a column as dates or times of day; without ``form``, as the more frequent of both."""
    parsed = _parse_all({cell for cell in cells if not is_missing(cell)}, order)
    found = [parsed.get(cell, (None, CALENDAR)) for cell in cells]
    if form is None:
        clock = [kind == CLOCK for day, kind in found if day is not None]
        form = CLOCK if 2 * sum(clock) > len(clock) else CALENDAR
    days = [day if kind == form else None for day, kind in found]
    odd = [row for row, cell in enumerate(cells) if days[row] is None and cell in parsed]
    return DateCells(np.array([np.nan if day is None else day for day in days]), odd, form)


def _parse_all(cells: Iterable[str], order: str) -> dict[str, tuple[float | None, str]]:
    """Parse different cells, which are mostly of one pattern; return days and form of each."""
    days: dict[str, tuple[float | None, str]] = {}
    patterns = list(PATTERNS)
    for cell in cells:
        day, found = _parse(cell, order, patterns)
        days[cell] = day, CLOCK if found is PATTERNS[0] else CALENDAR
        if found is not None and found is not patterns[0]:
            patterns.remove(found)
            patterns.insert(0, found)
    return days


def are_dates(cells: Sequence[str]) -> bool:
    """Tell whether nearly all cells that are not missing are dates, in one order of day and month.

    The first hundred decide alone where less than half of them are dates.
    """
    present = [cell for cell in cells if not is_missing(cell)]
    first = present[:100]
    return any(
        2 * len(read_dates(first, order).odd) <= len(first)
        and is_nearly_all(len(read_dates(present, order).odd), len(present))
        for order in ORDERS
    )


def order_of(cells: Iterable[str]) -> str | None:
    """Return the order of day and month that makes more cells dates; None if both do.

    >>> order_of(["1/2/2000", "1/31/2000"]), order_of(["1/2/2000", "2/1/2000"]), order_of(["2000"])
    ('mdy', None, 'mdy')
    """
    distinct = set(cells)
    first, other = ([day for day, _ in _parse_all(distinct, order).values()] for order in ORDERS)
    fewer = first.count(None) - other.count(None)
    if fewer == 0:
        return None if first != other else ORDERS[0]
    return ORDERS[0] if fewer < 0 else ORDERS[1]


def iso(days: float) -> str:
    """Return days since 1970 as text, with the time if there is one.

    >>> iso(2.0), iso(2.25)
    ('1970-01-03', '1970-01-03 06:00:00')
    """
    moment = (EPOCH + days * DAY).replace(microsecond=0)
    return str(moment.date() if moment.time() == EPOCH.time() else moment)
