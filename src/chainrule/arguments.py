"""The door for single numbers: each is checked, and named if it is wrong, before it is used."""

from collections.abc import Callable
from math import inf, isfinite
from typing import Any


def integer(value: Any, name: str, *, least: int) -> int:
    """Return ``value`` as an int; TypeError if it is none, ValueError if it is below ``least``."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}.")
    return int(value)


def real(value: Any, name: str) -> float:
    """Return ``value`` as a finite float."""
    return _number(value, name, "finite", lambda number: True)


def at_least_zero(value: Any, name: str) -> float:
    """Return ``value`` as a finite float of 0 or more."""
    if type(value) is float and 0.0 <= value < inf:  # as it mostly is, in loops of one's own
        return value
    return _number(value, name, "0 or more", lambda number: number >= 0)


def above_zero(value: Any, name: str) -> float:
    """Return ``value`` as a finite float of more than 0."""
    return _number(value, name, "more than 0", lambda number: number > 0)


def share(value: Any, name: str) -> float:
    """Return ``value`` as a float from 0 to 1."""
    return _number(value, name, "from 0 to 1", lambda number: 0 <= number <= 1)


def share_below_one(value: Any, name: str) -> float:
    """Return ``value`` as a float from 0 to 1, without 1."""
    if type(value) is float and 0.0 <= value < 1.0:
        return value
    return _number(value, name, "at least 0 and less than 1", lambda number: 0 <= number < 1)


def _number(value: Any, name: str, expected: str, accepts: Callable[[float], bool]) -> float:
    try:
        number = None if isinstance(value, (str, bytes)) else float(value)  # float() parses them
    except (TypeError, ValueError):
        number = None
    except OverflowError:  # an int that no float comes near
        number = inf
    if number is None:
        raise TypeError(f"{name} must be a number, not {value!r}.")
    if not (isfinite(number) and accepts(number)):
        raise ValueError(f"{name} must be {expected}, not {value}.")
    return number
