"""Scaling of each feature of the input by statistics that are learnt from data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.layers.layer import Buffer, Layer, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import above_zero, integer, optional, real, several
from chainrule.utils.arrays import DOUBLE, batch_array

__all__ = ["Standardize"]

BLOCK = 1 << 16  # elements that are converted to float64 at a time


@dataclass(frozen=True, repr=False)
class Standardize(Layer):
    """Brings each feature to mean 0 and variance 1 by statistics of data: ``(x - mean) / std``.

    ``Standardize().adapt(X)`` returns a layer with the statistics of X, which no training changes.
    As it is part of the network, ``predict`` does to X what ``fit`` did, also after the network was
    saved and loaded. It computes what scikit-learn's ``StandardScaler`` does. In the network, the
    statistics are buffers, ``mean`` and ``variance`` (``net.buffers()``).

    Shapes: input ``(n, *, features)``, output the same. Nothing is trained.

    Parameters
    ----------
    features : int, optional
        At least 1; known from the data after :meth:`adapt`.
    mean, variance : sequence of float, optional
        A number for each feature, more than 0 for the variance. :meth:`adapt` finds them; if only
        one is given, the other is 0 or 1.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are not as many numbers as features; for a network,
        if there are no statistics, or a variance is so small that its dtype holds few digits of it.
    TypeError
        If an argument is no number.

    Notes
    -----
    X is converted to the network's dtype first. Where a column varies little beside its size, as
    times since 1970 do, float32 has too few digits: subtract a number from it, or use float64.

    The outputs of a regression are scaled by a :class:`Rescale` at the end of the network:
    ``Rescale(y.std(), offset=y.mean())``.

    Examples
    --------
    >>> import chainrule as cr
    >>> X = [[1.0, 200.0], [2.0, 400.0], [3.0, 600.0]]
    >>> scaling = cr.Standardize().adapt(X)
    >>> cr.Sequential(scaling, dtype="float64").predict(X).round(3)
    array([[-1.225, -1.225],
           [ 0.   ,  0.   ],
           [ 1.225,  1.225]])
    """

    in_any_order = True

    number_checks: ClassVar = {
        "mean": optional(several(real)),
        "variance": optional(several(above_zero)),
    }
    features: int | None = None
    mean: Sequence[float] | None = None
    variance: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features is not None:
            object.__setattr__(self, "features", integer(self.features, "features", least=1))
        for name in ("mean", "variance"):
            numbers = getattr(self, name)
            if numbers is None:
                continue
            if self.features is None:
                object.__setattr__(self, "features", len(numbers))
            if len(numbers) != self.features:
                raise ValueError(
                    f"Standardize's {name} has {len(numbers)} numbers, but there are "
                    f"{self.features} features."
                )

    def __repr__(self) -> str:
        return short_repr(replace(self, mean=None, variance=None), "features")  # without numbers

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        if dtype is None:
            return
        if self.mean is None and self.variance is None:
            raise ValueError(
                "Standardize has no statistics yet: Standardize().adapt(X) returns a layer that "
                "has those of X."
            )
        least = np.finfo(dtype).tiny
        for j, number in enumerate(self.variance or ()):
            if number < least:
                raise ValueError(
                    f"Standardize's variance[{j}] is {number:.3g}, but below {least:.3g} numbers "
                    f"in {dtype.name} lose their digits: scale this feature before."
                )

    @property
    def last_length(self) -> int | None:
        return self.features

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if self.features is not None and shape[-1:] != (self.features,):
            raise ValueError(f"expects {self.features} features")
        return shape

    def buffers(self) -> dict[str, Buffer]:
        shape = (self.features or 0,)
        mean = 0.0 if self.mean is None else self.mean
        return {
            "mean": Buffer(shape, mean),
            "variance": Buffer(shape, 1.0 if self.variance is None else self.variance),
        }

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        buffers = {name: plan.parameter(name, own.shape) for name, own in self.buffers().items()}
        return plan.apply("standardize", x, buffers=buffers, numbers={"eps": 0.0})

    def adapt(self, X: ArrayLike) -> Standardize:
        """Return this layer with the mean and the variance of each feature of X.

        They are computed in float64; the variance is the biased one. A feature that is constant,
        but for the rounding of its numbers, gets the variance 1, so that it becomes 0.

        Parameters
        ----------
        X : array of shape ``(n, *, features)``
            As for :func:`fit`: also memory-mapped, or a table.

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape or dtype, or holds NaN or infinity.
        """
        x = batch_array(X, "X", DOUBLE)
        features = x.shape[-1]
        if self.features not in (None, features):
            raise ValueError(f"X must have {self.features} features, but its shape is {x.shape}.")
        mean, variance = _moments(x.reshape(-1, features))
        return replace(
            self, features=features, mean=tuple(mean.tolist()), variance=tuple(variance.tolist())
        )


def _moments(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each column, 1 for what is constant up to rounding."""
    ends = np.stack([rows.min(axis=0), rows.max(axis=0)]).astype(DOUBLE)
    largest = np.abs(ends).max(axis=0)
    # Squares of the values may not be floats; powers of 2 change no other digit.
    units = np.exp2(np.maximum(np.frexp(largest)[1] - 1, -1000))
    count, mean = len(rows), np.zeros(len(units))
    for block in _blocks(rows):
        mean += (block / units).sum(axis=0) / count
    off, squares = np.zeros(len(units)), np.zeros(len(units))
    for block in _blocks(rows):
        deviations = block / units - mean
        off += deviations.sum(axis=0) / count
        squares += np.square(deviations).sum(axis=0)
    mean += off  # which is not 0, but the mean's rounding
    scaled = squares / count - off**2
    # As in scikit-learn: differences as large as the rounding of a mean are none.
    eps = np.finfo(DOUBLE).eps
    is_constant = scaled <= count * eps * scaled + (count * mean * eps) ** 2
    if rows.dtype.kind == "f":  # and so are differences as large as the rounding of the values
        rounding = 8 * np.finfo(rows.dtype).eps * largest / units
        is_constant |= np.ptp(ends / units, axis=0) <= rounding
    with np.errstate(over="ignore", under="ignore"):
        variance = np.where(is_constant, 1.0, scaled * units**2)
    for j in np.flatnonzero(~np.isfinite(variance) | (variance < np.finfo(DOUBLE).tiny))[:1]:
        deviation = np.sqrt(scaled[j]) * units[j]
        raise ValueError(
            f"X varies by {deviation:.3g} in feature {j}, whose square is no number in float64: "
            "scale this feature before."
        )
    return mean * units, variance


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield all rows in float64, some at a time."""
    length = max(1, BLOCK // rows.shape[1])
    for begin in range(0, len(rows), length):
        yield rows[begin : begin + length].astype(DOUBLE)
