"""What surrounds each fit and partial_fit: validation before it, and restoring after an error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import DataConversionWarning

Method = TypeVar("Method", bound=Callable[..., Any])

# Of ``fit`` and of ``wrapper`` below. The caller of both is sklearn.base, to which warnings belong:
# who silences scikit-learn's by ``filterwarnings("ignore", module="sklearn")`` silences these too.
FIT_FRAMES = 3


def fitting(method: Method) -> Method:
    """Let scikit-learn check the parameters first, and errors leave the estimator as it was."""

    @_fit_context(prefer_skip_nested_validation=True)
    @wraps(method)
    def wrapper(estimator: BaseEstimator, *args: Any, **options: Any) -> Any:
        with _unchanged_by_errors(estimator):
            return method(estimator, *args, **options)

    return cast(Method, wrapper)


def column_as_vector(y: NDArray[Any]) -> NDArray[Any]:
    """Return a column (n, 1) as a vector, with the warning that scikit-learn has for it.

    For ``_check_data``, which ``_fit`` calls.
    """
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected: its shape is "
        f"{y.shape}, and y.ravel() is a vector.",
        DataConversionWarning,
        stacklevel=FIT_FRAMES + 3,
    )
    return y[:, 0]


@contextmanager
def _unchanged_by_errors(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the estimator if an error comes: its parameters too, if it was fitted before."""
    attributes = vars(estimator)
    before = attributes.copy()
    lengths = [(values, len(values)) for values in before.values() if isinstance(values, list)]
    network = before.get("network_")
    values = np.empty(0) if network is None else network.values.copy()
    try:
        yield
    except BaseException:
        if network is not None and not np.array_equal(network.values, values):
            network.values[:] = values
            before.pop("_optimizer", None)  # it has seen the steps that are taken back
        for values, length in lengths:
            del values[length:]
        attributes.clear()
        attributes.update(before)
        raise
