"""The weights of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.losses import BCEWithLogitsLoss, Loss
from chainrule.models.data_set import DataSet
from chainrule.utils.arguments import at_least_zero, shortened
from chainrule.utils.arrays import real_array

ClassWeight = dict[Any, float] | str


def weigh_classes(
    data: DataSet, wanted: Any, loss: Loss, output_shapes: tuple[tuple[int, ...], ...]
) -> DataSet:
    """Return the data with the weight of each row times that of its class.

    Parameters
    ----------
    data : DataSet
    wanted : dict of classes and weights, or "balanced"
        See :func:`class_weights`.
    loss : Loss
    output_shapes : of a row of each output.

    Raises
    ------
    ValueError, TypeError
        If the targets are no classes, or ``wanted`` is wrong.
    """
    if not isinstance(wanted, dict) and not (isinstance(wanted, str) and wanted == "balanced"):
        raise TypeError(
            f'class_weight must be a dict of classes and weights, or "balanced", not '
            f"{shortened(wanted)}."
        )
    first, *others = data.targets.values
    is_binary = isinstance(loss, BCEWithLogitsLoss) and first.size == data.rows
    if others or not (first.dtype.kind == "i" or (is_binary and np.isin(first, (0, 1)).all())):
        raise ValueError(
            f"class_weight is for one output with one class a row, not for {loss!r} with these "
            "targets."
        )
    classes = np.arange(2 if is_binary else output_shapes[0][-1])
    labels = first.reshape(-1).astype(np.int64)
    sizes = None if data.weights is None else np.abs(data.weights)
    weights = class_weights(wanted, classes, labels, sizes, data.dtype)[labels]
    if data.weights is not None:
        weights = weights * data.weights
    name = "class_weight times sample_weight"
    weighted = replace(data, weights=real_array(weights, name, data.dtype))
    weighted.check_some_weight(name)
    return weighted


def class_weights(
    wanted: dict[Any, float] | str,
    classes: NDArray[Any],
    y: NDArray[np.int64],
    sample_weight: NDArray[Any] | None,
    dtype: np.dtype,
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
    dtype : float32 or float64
        In which a dict's weights must be finite.

    Raises
    ------
    ValueError, TypeError
        If a key is not a class while a class has no key, as when labels are misspelled; or if a
        weight is not a number of 0 or more.

    Examples
    --------
    >>> class_weights({"b": 3.0}, np.array(["a", "b"]), np.array([0, 0, 1]), None, np.dtype("f4"))
    array([1., 3.])
    >>> class_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 1]), None, np.dtype("f4"))
    array([0.75, 1.5 ])
    """
    if isinstance(wanted, dict):
        missing = [name for name in classes.tolist() if name not in wanted]
        unknown = [name for name in wanted if name not in classes.tolist()]
        if missing and unknown:
            raise ValueError(
                f"class_weight has {unknown}, which are not classes, but lacks {missing}."
            )
        names = {key: f"class_weight[{key!r}]" for key in wanted}
        checked = {key: at_least_zero(wanted[key], names[key], dtype) for key in wanted}
        return np.array([checked.get(name, 1.0) for name in classes.tolist()])
    counts = np.bincount(y, sample_weight, len(classes))
    present = counts > 0  # classes without rows, or without weight, are left out
    mean: float = counts.sum() / present.sum()
    return np.divide(mean, counts, out=np.zeros(len(classes)), where=present)
