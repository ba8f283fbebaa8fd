"""The weights of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.utils.arguments import at_least_zero


def class_weights(
    wanted: dict[Any, float] | str,
    classes: NDArray[Any],
    y: NDArray[np.int64],
    sample_weight: NDArray[Any] | None,
) -> NDArray[np.float64]:
    """Return the weight of each class.

    Parameters
    ----------
    wanted : dict of classes and weights, or "balanced"
        Classes that the dict leaves out have the weight 1. Balanced weights have the same sum over
        the rows of each class, and a mean of 1 over all rows.
    classes : array of shape (classes,)
    y : array of shape (n,)
        The index of each row's class.
    sample_weight : array of shape (n,), optional
        A row of weight 2 counts as two rows.

    Raises
    ------
    ValueError, TypeError
        If a key is not a class while a class has no key, as when labels are misspelled; or if a
        weight is not a number of 0 or more.

    Examples
    --------
    >>> class_weights({"b": 3.0}, np.array(["a", "b"]), np.array([0, 0, 1]), None)
    array([1., 3.])
    >>> class_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 1]), None)
    array([0.75, 1.5 ])
    """
    if isinstance(wanted, dict):
        missing = [name for name in classes.tolist() if name not in wanted]
        unknown = [name for name in wanted if name not in classes.tolist()]
        if missing and unknown:
            raise ValueError(
                f"class_weight has {unknown}, which are not classes, but lacks {missing}."
            )
        checked = {key: at_least_zero(wanted[key], f"class_weight[{key!r}]") for key in wanted}
        return np.array([checked.get(name, 1.0) for name in classes.tolist()])
    counts = np.bincount(y, sample_weight, len(classes))
    present = counts > 0  # classes without rows, or without weight, are left out
    mean: float = counts.sum() / present.sum()
    return np.divide(mean, counts, out=np.zeros(len(classes)), where=present)
