"""X of an estimator is one table, which a module may divide: its validation by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from chainrule.interop.sklearn.fitted import FittedNetwork
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import finite_array
from chainrule.utils.columns import REAL, different_shapes
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
        different = f"{different_shapes(X)} " if isinstance(X, list) else ""
        raise ValueError(f"X must be one table, but it is {came}. {different}{INSTEAD}")


def validated(
    estimator: FittedNetwork, X: Any, *y: Any, reset: bool = False, **options: Any
) -> Any:
    """Return what scikit-learn's ``validate_data`` does: X, or X and y.

    Its error is raised with the place of the first wrong number in X, and the name of its column.
    """
    check_one_table(X)
    allow_nd = estimator.module is not None  # images, for a network of one's own
    shape = getattr(X, "shape", ())
    if not allow_nd and len(shape) > 2:
        raise ValueError(
            f"X must have shape (n, features), but its shape is {shape}. Give a network for "
            "images as module, or X.reshape(len(X), -1), which makes features of all pixels."
        )
    options |= {"accept_sparse": ["csr", "csc"], "allow_nd": allow_nd, "reset": reset}
    try:
        checked = validate_data(estimator, X, *y, **options)
    except (TypeError, ValueError) as error:
        network = getattr(estimator, "network_", None)
        images_of = network if len(shape) > 2 and not reset else None
        if not issparse(X) and (wrong := _what_is_wrong(X, images_of)):
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{wrong}\n{error}") from error
        raise
    array = checked[0] if y else checked
    if array.dtype.kind not in REAL:
        finite_array(X, "X", np.dtype(float))
    return checked


def _what_is_wrong(X: Any, network: Sequential | None) -> str:
    """Return what this package finds wrong in X, and in images for a fitted network."""
    try:
        if network is None:
            finite_array(X, "X", np.dtype(float))
        else:
            network.check_input(X, "X")
    except (TypeError, ValueError) as error:
        return str(error)
    if network is None:
        return ""
    return f"X must have images as high as those in fit, but its shape is {X.shape}."
