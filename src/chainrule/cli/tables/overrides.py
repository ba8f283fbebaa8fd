"""What a user says of columns: ``--columns NAME=KIND``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.cli.tables.columns import DATE_PARTS, KINDS, Date
from chainrule.cli.tables.dates import ORDERS
from chainrule.cli.tables.reading import RawTable


class Override(NamedTuple):
    """The kind of a column, and for a date the order of day and month, and the parts."""

    kind: str
    order: str | None = None
    units: tuple[str, ...] = ("time",)


def parse_overrides(texts: Sequence[str], table: RawTable) -> dict[str, Override]:
    """Return overrides by column.

    >>> table = RawTable("a.csv", {"when": []}, [])
    >>> parse_overrides(["when=date:dmy,month"], table)
    {'when': Override(kind='date', order='dmy', units=('month',))}

    Raises
    ------
    ValueError
        If there is no such column, kind or part, or a column occurs twice.
    """
    result: dict[str, Override] = {}
    for text in texts:
        name, _, kind = text.rpartition("=")
        kind, _, details = kind.partition(":")
        if not name or kind not in KINDS or (details and kind != Date.kind):
            raise ValueError(
                f"--columns must be NAME=KIND with a kind of {', '.join(KINDS)}, "
                f"as in --columns zip=category, not {text!r}."
            )
        table.column(name)
        if name in result:
            raise ValueError(f"--columns names {name!r} twice.")
        parts = [part for part in details.split(",") if part]
        orders = [part for part in parts if part in ORDERS]
        units = tuple(dict.fromkeys(part for part in parts if part not in ORDERS))
        if len(orders) > 1 or not set(units) <= {*DATE_PARTS}:
            raise ValueError(
                f"--columns {name}=date: may be followed by {' or '.join(ORDERS)}, and by some of "
                f"{', '.join(DATE_PARTS)}, not by {details!r}."
            )
        result[name] = Override(kind, orders[0] if orders else None, units or ("time",))
    return result
