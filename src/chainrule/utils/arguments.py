"""Validation of single numbers: an error names the argument, what was expected and what was given.

With a ``dtype``, a number must be valid in that dtype too: in float32, 1e39 is infinite, and 1e-50
is 0. The number itself is returned.
"""

from collections.abc import Callable, Sequence
from math import inf, isfinite
from operator import index
from typing import Any, ClassVar

import numpy as np

from chainrule.utils.wording import possessive

Check = Callable[[Any, str, np.dtype | None], Any]
MOST_SHOWN = 120  # characters of a wrong value


def shortened(value: Any) -> str:
    """Return the beginning of a wrong value's repr, which may be a whole data set's.

    >>> shortened("a" * 1000)[-6:]
    'aaa...'
    """
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def kind_hint(value: Any) -> str:
    """Return a question for the message about a class that was given instead of an object.

    >>> kind_hint(int), kind_hint(3)
    (' Did you forget the brackets?', '')
    """
    return " Did you forget the brackets?" if isinstance(value, type) else ""


def integer(value: Any, name: str, *, least: int) -> int:
    """Return ``value`` as an int; TypeError if it is none, ValueError if it is below ``least``."""
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be an integer, not {shortened(value)}.")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}.")
    return number


def real(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a finite float."""
    return _number(value, name, dtype, "finite", lambda number: True)


def at_least_zero(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a finite float of 0 or more."""
    # A quick check of the usual case: the limit is finite in both dtypes.
    if type(value) is float and 0.0 <= value < 3e38:
        return value
    return _number(value, name, dtype, "0 or more", lambda number: number >= 0)


def above_zero(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a finite float of more than 0."""
    if type(value) is float and 1e-30 < value < 3e38:
        return value
    return _number(value, name, dtype, "more than 0", lambda number: number > 0)


def fraction(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a float from 0 to 1."""
    return _number(value, name, dtype, "from 0 to 1", lambda number: 0 <= number <= 1)


def fraction_below_one(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a float from 0 to 1, without 1."""
    if type(value) is float and 0.0 <= value < 0.999999:
        return value
    return _number(value, name, dtype, "at least 0 and less than 1", lambda number: 0 <= number < 1)


def between_zero_and_one(value: Any, name: str, dtype: np.dtype | None = None) -> float:
    """Return ``value`` as a float of more than 0 and less than 1."""
    return _number(value, name, dtype, "more than 0 and less than 1", lambda number: 0 < number < 1)


def flag(value: Any, name: str, dtype: np.dtype | None = None) -> bool:
    """Return ``value`` as a bool; TypeError if it is none, of Python's or NumPy's."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {shortened(value)}.")
    return bool(value)


def choice(value: Any, name: str, choices: Sequence[str]) -> str:
    """Return ``value``; ValueError unless it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        known = " or ".join(map(repr, choices))
        raise ValueError(f"{name} must be {known}, not {shortened(value)}.")
    return value


def several(check: Check) -> Check:
    """Return the check of numbers in a list, each checked by ``check``: it returns a tuple."""

    def checked(value: Any, name: str, dtype: np.dtype | None = None) -> tuple[Any, ...]:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
            raise TypeError(f"{name} must be numbers in a list, not {value!r}.")
        if len(value) == 0:
            raise ValueError(f"{name} must have at least one number.")
        return tuple(check(number, f"{name}[{i}]", dtype) for i, number in enumerate(value))

    return checked


def optional(check: Check) -> Check:
    """Return a check that accepts None as well."""

    def checked(value: Any, name: str, dtype: np.dtype | None = None) -> Any:
        return None if value is None else check(value, name, dtype)

    return checked


class Numbers:
    """Base of objects with numbers as attributes, validated in the dtype in which they are used.

    Attributes
    ----------
    number_checks : dict
        The check of each number, by the attribute's name.
    """

    number_checks: ClassVar[dict[str, Check]] = {}

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        """Raise ValueError or TypeError if a number is wrong, in ``dtype`` if it is given."""
        for name in self.number_checks:
            object.__setattr__(self, name, self.checked(name, getattr(self, name), dtype))

    def checked(self, name: str, value: Any, dtype: np.dtype | None = None) -> Any:
        """Return ``value`` validated for the attribute; errors as of :meth:`check_numbers`."""
        return self.number_checks[name](value, f"{possessive(type(self).__name__)} {name}", dtype)


def _number(
    value: Any,
    name: str,
    dtype: np.dtype | None,
    expected: str,
    accepts: Callable[[float], bool],
) -> float:
    # float() parses texts, takes True for 1, and an array for its only number.
    is_other = isinstance(value, str | bytes | bool | np.bool_) or getattr(value, "ndim", 0) > 0
    try:
        number = None if is_other else float(value)
    except (TypeError, ValueError):
        number = None
    except OverflowError:  # an int beyond the range of floats
        number = inf
    if number is None:
        raise TypeError(f"{name} must be a number, not {shortened(value)}.")
    if not (isfinite(number) and accepts(number)):
        raise ValueError(f"{name} must be {expected}, not {value}.")
    if dtype is not None:
        with np.errstate(over="ignore"):
            used = float(dtype.type(number))
        if not (isfinite(used) and accepts(used)):
            raise ValueError(
                f"{name} must be {expected} in {dtype}, in which it is used, but {value} becomes "
                f"{used}."
            )
    return number
