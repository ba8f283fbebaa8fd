"""The names of a table's columns, from its first row or without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from chainrule.cli.tables.cells import is_missing, parse_number
from chainrule.utils.arguments import shortened
from chainrule.utils.wording import plural

Line = tuple[int, list[str]]  # the line of a file, and its cells


def skip_preamble(lines: Sequence[Line]) -> int:
    """Return how many lines come before the table: all of at most half as many cells as most have.

    >>> skip_preamble([(1, ["Source: a"]), (2, ["a", "b"]), (3, ["1", "2"])])
    1
    """
    if not lines:
        return 0
    most = _usual_length(lines)
    first = next(i for i, (_, cells) in enumerate(lines) if len(cells) == most)
    return first if all(2 * len(cells) <= most for _, cells in lines[:first]) else 0


def without_notes(lines: Sequence[Line]) -> Sequence[Line]:
    """Return the lines without those below the table, of text and at most half as many cells.

    A last line that begins with a number is kept: it may be a row that is cut off.

    >>> without_notes([(1, ["a", "b"]), (2, ["1", "2"]), (4, ["Source: c"])])
    [(1, ['a', 'b']), (2, ['1', '2'])]
    """
    end = len(lines)
    most = _usual_length(lines) if lines else 0
    while end and 2 * len(lines[end - 1][1]) <= most and not parse_number(lines[end - 1][1][0]):
        end -= 1
    return lines[:end] if end >= 2 else lines  # else the separator is another


def _usual_length(lines: Sequence[Line]) -> int:
    """Return how many cells most lines have."""
    ((most, _),) = Counter(len(cells) for _, cells in lines).most_common(1)
    return most


def split_header(path: str, lines: list[Line], notes: list[str]) -> tuple[list[str], list[Line]]:
    """Return the columns' names and the rows; ValueError if a name occurs twice, or a row differs.

    A name is empty if the column has none.
    """
    if skipped := skip_preamble(lines):
        lines = lines[skipped:]
        notes.append(f"The table begins at line {lines[0][0]}; what comes before is left out.")
    if below := lines[len(without_notes(lines)) :]:
        lines = lines[: -len(below)]
        line, cells = below[0]
        notes.append(
            f"The table ends at line {lines[-1][0]}; what comes after is left out (line {line}: "
            f"{shortened(', '.join(cells))})."
        )
    (line, names), *rows = lines
    if _is_row(names, rows):
        rows = lines
        names = [f"column {i + 1}" for i in range(len(names))]
        notes.append(
            f"The first line holds numbers, not names: the columns are called {names[0]!r} to "
            f"{names[-1]!r}."
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise ValueError(
            f"{path}, line {line}: each column needs a unique name, but {twice[0]!r} occurs twice."
        )
    if rows and lengths(cells for _, cells in rows) == {len(names) + 1}:
        # R's write.table gives the row names no cell in the header; others end rows by a separator.
        ends = any(cells[-1] for _, cells in rows)
        names = ["", *names] if ends else [*names, ""]
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: expected {plural(len(names), 'cell')} as in the header, "
                f"but it has {len(cells)}."
            )
    return names, rows


def lengths(rows: Iterable[Sequence[str]]) -> set[int]:
    """Return the different lengths of rows."""
    return set(map(len, rows))


def _is_row(first: Sequence[str], rows: Sequence[Line]) -> bool:
    """Tell whether a first row is one of numbers, as the second; names may be 0, 1, 2 or years.

    The first cell of names alone is empty, above row numbers.
    """
    both = [*first, *rows[0][1]] if rows else first
    if not first[0] or not all(is_missing(cell) or parse_number(cell) for cell in both):
        return False
    values = [number.value for number in map(parse_number, first) if number]
    if not values:
        return False
    consecutive = [values[0] + i for i in range(len(values))]
    return len(values) < 2 or values != consecutive


def name_columns(
    names: Sequence[str], columns: Sequence[list[str]], notes: list[str]
) -> dict[str, list[str]]:
    """Return the columns by name; those without one by their number, unless they are empty."""
    named: dict[str, list[str]] = {}
    for position, (name, cells) in enumerate(zip(names, columns, strict=True)):
        if not name and any(cells):
            name = f"column {position + 1}"
            if name in names:
                name += " without a name"
            notes.append(f"Column {position + 1} has no name: it is called {name!r}.")
        if name:
            named[name] = cells
    return named
