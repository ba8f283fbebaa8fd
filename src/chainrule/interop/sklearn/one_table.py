"""X of an estimator is one table, which a module may divide."""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse

from chainrule.utils.inputs import kind_of_several

INSTEAD = (
    "Put all columns into one table: a module that begins with cr.Parallel divides it, with "
    "cr.Columns first in each branch. cr.fit takes a tuple of arrays, for a network that begins "
    "with cr.Inputs."
)


def check_one_table(X: Any) -> None:
    """Raise ValueError if X is several arrays: a tuple, a dict, or a list with different shapes."""
    is_dict = isinstance(X, dict) and not issparse(X)  # SciPy's dictionary of keys is a table
    came = "a dict" if is_dict else kind_of_several(X)
    if came:
        raise ValueError(f"X must be one table, but it is {came}. {INSTEAD}")
