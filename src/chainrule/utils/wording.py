"""Counts and names as text."""

from decimal import Decimal
from typing import Any

import numpy as np

IN_CODE = {
    "validation X": "validation[0]",
    "validation y": "validation[1]",
    "validation sample_weight": "validation[2]",
    **dict.fromkeys(("the input", "its input", "input_shape"), "X"),
}


def count(value: int) -> str:
    """Return a whole number, however large.

    >>> count(5130), count(128**150)
    ('5,130', '1.206e+316')
    """
    return f"{value:,}" if value < 10**12 else f"{Decimal(value):.3e}"


def plural(value: int, noun: str) -> str:
    """Return a number of things.

    >>> plural(1, "row"), plural(1200, "path"), plural(2, "loss")
    ('1 row', '1,200 paths', '2 losses')
    """
    ending = "" if value == 1 else "es" if noun.endswith("s") else "s"
    return f"{count(value)} {noun}{ending}"


def in_code(name: str) -> str:
    """Return what messages call an array as an expression, for code that users may copy.

    Validation data is named by its place in the argument of :func:`fit`.

    >>> in_code("X[0]"), in_code("validation X[0]"), in_code("the input")
    ('X[0]', 'validation[0][0]', 'X')
    """
    array, bracket, index = name.partition("[")
    return IN_CODE.get(array, array) + bracket + index


def array_in_code(name: str, value: Any) -> str:
    """Return what was given as an expression that is an array, also where it is a list or a table.

    >>> array_in_code("X", np.zeros(2)), array_in_code("X", [0.0, 0.0])
    ('X', 'np.asarray(X)')
    """
    code = in_code(name)
    return code if isinstance(value, np.ndarray) else f"np.asarray({code})"


def possessive(name: str) -> str:
    """Return a name before what belongs to it.

    >>> possessive("Linear"), possessive("MSELoss"), possessive("Columns")
    ("Linear's", "MSELoss's", "Columns'")
    """
    is_plural = name.endswith("s") and not name.endswith("ss")
    return f"{name}'" if is_plural else f"{name}'s"
