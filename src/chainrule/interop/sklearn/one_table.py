"""X of an estimator is one table, which a module may divide."""

from __future__ import annotations

from typing import Any

from chainrule.utils.inputs import kind_of_several

INSTEAD = (
    "Put all columns into one table: a module that begins with cr.Parallel divides it, with "
    "cr.Columns first in each branch. cr.fit takes a tuple of arrays, for a network that begins "
    "with cr.Inputs."
)


def check_one_table(X: Any) -> None:
    """Raise ValueError if X is several arrays: a tuple, a dict, or a list with different shapes."""
    came = "a dict" if isinstance(X, dict) else kind_of_several(X)
    if came:
        raise ValueError(f"X must be one table, but it is {came}. {INSTEAD}")
