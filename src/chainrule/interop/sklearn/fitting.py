"""The decorator of fit and partial_fit: validation before, and restoring after an error."""

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

from chainrule.utils.wording import plural

Method = TypeVar("Method", bound=Callable[..., Any])

# The frames of ``fit`` and of ``wrapper`` below. Warnings are attributed to their caller in
# sklearn.base, so that ``filterwarnings("ignore", module="sklearn")`` silences them.
FIT_FRAMES = 3


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a training, and the estimator is fitted as far as the training came."""

    def __init__(self, iterations: int) -> None:
        super().__init__(
            f"Training was interrupted after {plural(iterations, 'iteration')}. The estimator can "
            "be used as it is."
        )


def fitting(method: Method) -> Method:
    """Check the parameters by scikit-learn first, and restore the estimator after an error.

    An error is also a KeyboardInterrupt that comes at any moment, but not ``FitInterrupted``.
    """

    @_fit_context(prefer_skip_nested_validation=True)
    @wraps(method)
    def wrapper(estimator: BaseEstimator, *args: Any, **options: Any) -> Any:
        with _unchanged_by_errors(estimator):
            return method(estimator, *args, **options)

    return cast(Method, wrapper)


def column_as_vector(y: NDArray[Any]) -> NDArray[Any]:
    """Return a column (n, 1) as a vector, with scikit-learn's warning.

    It must be called by ``_check_data``, which ``_fit`` calls, as the warning counts frames.
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
    """Restore the estimator after an error, with its parameters if it was fitted before."""
    attributes = vars(estimator)
    before = attributes.copy()
    lengths = [(values, len(values)) for values in before.values() if isinstance(values, list)]
    network = before.get("network_")
    values = np.empty(0) if network is None else network.values.copy()
    try:
        yield
    except FitInterrupted as error:
        raise KeyboardInterrupt(*error.args) from None
    except BaseException:
        if network is not None and not np.array_equal(network.values, values):
            network.values[:] = values
            before.pop("_optimizer", None)  # its state includes the steps that are undone
        for values, length in lengths:
            del values[length:]
        attributes.clear()
        attributes.update(before)
        raise
