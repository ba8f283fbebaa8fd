"""Plain text for terminals: tables, and the numbers of small arrays, within 80 columns."""

import re
from collections.abc import Sequence
from textwrap import wrap

import numpy as np

from chainrule.explain.step import Float64

WIDTH = 80


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as their longest cell.

    >>> table(["name", "size"], [["W1", "2"], ["bias", "10"]])
    ['name  size', 'W1    2', 'bias  10']
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def equation(text: str, indent: str = "") -> list[str]:
    """Return a line of mathematics, broken before a factor or term where it is too long.

    >>> equation("a = " + " . ".join(["bcdef"] * 12))[1]
    '    . bcdef . bcdef . bcdef'
    """
    lines = [indent]
    for part in re.split(r" (?=[.·+] )", text):
        if len(lines[-1]) + 1 + len(part) > WIDTH and lines[-1].strip():
            lines.append(f"{indent}    {part}")
        else:
            lines[-1] += part if lines[-1] == indent else f" {part}"
    return lines


def paragraph(text: str) -> list[str]:
    """Return a sentence or several, broken into lines."""
    return wrap(text, WIDTH)


def numbers(array: Float64) -> list[str]:
    """Return the numbers of an array, to four digits."""
    text = np.array2string(
        array, max_line_width=WIDTH - 2, formatter={"float_kind": lambda x: f"{x:.4g}"}
    )
    return [f"  {line}".rstrip() for line in text.splitlines()]


def number(value: float | None, digits: int = 4) -> str:
    """Return a number to four digits, or so many; a dash for None.

    >>> number(1234.5678), number(None)
    ('1235', '-')
    """
    return "-" if value is None else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """Return a time in the unit that suits it; a dash for None.

    >>> duration(0.0000123), duration(0.5), duration(7200.0), duration(None)
    ('12.3 us', '500 ms', '2 h', '-')
    """
    if seconds is None:
        return "-"
    units = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
    unit = next((unit for unit, length in units.items() if seconds >= length), "us")
    return f"{seconds / units[unit]:.3g} {unit}"
