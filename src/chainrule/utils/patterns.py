"""Shell patterns of parameters' names, such as ``"*.weight"`` (:mod:`fnmatch`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def by_pattern(
    values: Mapping[str, T], names: Collection[str], default: T, what: str
) -> dict[str, T]:
    """Return for each name the value of the first pattern that matches it, else the default.

    Raises
    ------
    ValueError
        If a pattern matches no name; ``what`` has the patterns.

    Examples
    --------
    >>> by_pattern({"*.bias": 0.0, "0.*": 0.1}, ["0.weight", "0.bias", "2.bias"], 0.2, "It")
    {'0.weight': 0.1, '0.bias': 0.0, '2.bias': 0.0}
    """
    for pattern in values:
        matching(pattern, names, what)
    return {
        name: next((v for pattern, v in values.items() if fnmatchcase(name, pattern)), default)
        for name in names
    }


def matching(pattern: str, names: Collection[str], what: str) -> list[str]:
    """Return the names that a pattern matches; ValueError if there are none."""
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(
            f"{what} has a pattern {pattern!r} that matches no parameter of the network; these are "
            f"{', '.join(names) or 'none'}."
        )
    return found


def check_patterns(
    values: Mapping[Any, Any],
    check: Callable[[Any, str, np.dtype | None], T],
    name: str,
    dtype: np.dtype | None = None,
) -> dict[str, T]:
    """Return a dict of patterns with each value checked; TypeError if a key is no pattern."""
    for pattern in values:
        if not isinstance(pattern, str):
            raise TypeError(f"{name} must have name patterns as keys, not {pattern!r}.")
    return {key: check(value, f"{name}[{key!r}]", dtype) for key, value in values.items()}
