"""The scores that early stopping checks: scikit-learn's to the bit, without its checks of arrays.

These take 0.2 to 0.5 ms, as long as an epoch of a thousand rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fraction_of(right: NDArray[np.bool_], sample_weight: NDArray[Any] | None) -> float:
    """Return the fraction of rows that are right, by their weights: ``accuracy_score``.

    Examples
    --------
    >>> fraction_of(np.array([True, False]), np.array([3.0, 1.0]))
    0.75
    """
    return float(np.average(right, weights=sample_weight))


def r2(y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
    """Return ``r2_score``: the mean of the coefficients of determination of y's columns.

    It is computed in the widest dtype of those that hold floats.

    Examples
    --------
    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]), None)
    0.5
    """
    given = [y, predicted] if sample_weight is None else [y, predicted, sample_weight]
    dtype = np.result_type(*(array for array in given if array.dtype.kind == "f"))
    y, predicted = (array.astype(dtype).reshape(len(y), -1) for array in (y, predicted))
    weights = np.ones(len(y), dtype) if sample_weight is None else sample_weight.astype(dtype)
    of_rows = weights[:, np.newaxis]
    residual = (of_rows * (y - predicted) ** 2).sum(axis=0)
    total = (of_rows * (y - np.average(y, axis=0, weights=weights)) ** 2).sum(axis=0)
    scores = (residual == 0).astype(dtype)  # where all of a column is equal
    varies = total != 0
    scores[varies] = 1 - residual[varies] / total[varies]
    return float(scores.mean())
