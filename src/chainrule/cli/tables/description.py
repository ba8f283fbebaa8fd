"""How each column of a table was read, as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from chainrule.cli.tables.columns import Category
from chainrule.cli.tables.fitting import MOST_SHOWN, Reading
from chainrule.cli.tables.target import Target
from chainrule.utils.wording import plural

MOST_ROWS = 40  # the rest is counted


def describe(readings: Sequence[Reading], target: Target) -> tuple[Table, str]:
    """Return a row for each column, and what is said of those beyond the first ``MOST_ROWS``."""
    table = Table("column", "read as", "notes")
    if isinstance(target, Category):
        classes = target.categories
        shown = ", ".join(classes[:MOST_SHOWN]) + (", ..." if len(classes) > MOST_SHOWN else "")
        table.add_row(target.name, f"target: {len(classes)} classes", shown)
    else:
        shown = f"in {target.unit}" if target.unit else ""
        table.add_row(target.name, f"target: {target.kind}", shown)
    for reading in readings[:MOST_ROWS]:
        table.add_row(reading.name, reading.read_as, reading.note)
    more = readings[MOST_ROWS:]
    kinds = Counter(reading.read_as.partition(" of ")[0] for reading in more)
    counts = ", ".join(f"{kind}: {count:,}" for kind, count in kinds.items())
    return table, f"... and {plural(len(more), 'more column')} ({counts})" if more else ""
