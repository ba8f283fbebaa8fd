"""Plain values to JSON and back, for the headers of files."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

DEEPEST = 32  # lists within lists


def check_plain(value: Any, name: str, *, finite: bool = True, depth: int = 0) -> None:
    """Raise TypeError or ValueError if JSON cannot represent ``value`` exactly."""
    if depth > DEEPEST:
        raise ValueError(f"{name} is nested more than {DEEPEST} deep.")
    if isinstance(value, float):
        if finite and not isfinite(value):
            raise ValueError(f"{name} must be finite, not {value}.")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"The keys of {name} must be strings, not {key!r}.")
            check_plain(item, f"{name}[{key!r}]", finite=finite, depth=depth + 1)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            check_plain(item, f"{name}[{position}]", finite=finite, depth=depth + 1)
    elif type(value) is int:
        if abs(value) >= 1 << 64:  # Python's parser limits the number of digits
            raise ValueError(f"{name} must have at most 64 bits, not {value.bit_length()}.")
    elif value is not None and type(value) not in (bool, str):
        raise TypeError(
            f"{name} must be None, a bool, int, float, str, list or dict, not {value!r}."
        )


def without_non_finite(value: Any) -> Any:
    """Return ``value`` with None in the place of NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_non_finite(item) for item in value]
    return value


def parse(text: str) -> Any:
    """Return the value of a JSON text; ValueError if it is not valid, or has a key twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values
