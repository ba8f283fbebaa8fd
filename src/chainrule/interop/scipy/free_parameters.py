"""Which of a network's parameters an optimizer may change, and the vectors of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.autodiff.validation import flat_vector
from chainrule.models.sequential import Sequential
from chainrule.utils.arguments import shortened
from chainrule.utils.arrays import finite_array
from chainrule.utils.patterns import matching

Float64 = NDArray[np.float64]
Free = str | Sequence[str] | NDArray[np.bool_]


class FreeParameters:
    """The free parameters of a float64 network; the others keep the values that it has.

    Attributes
    ----------
    start : float64 array of shape (number of free parameters,)
        Their values in the network.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 1), dtype="float64")
    >>> net.params = [1.0, 2.0, 0.5]
    >>> weights = FreeParameters(net, "*.weight")
    >>> weights.start, weights.spread([3.0, 4.0], "theta")
    (array([1., 2.]), array([3. , 4. , 0.5]))
    """

    def __init__(self, net: Sequential, free: Free | None) -> None:
        self._net, self._fixed = net, net.params.copy()
        self.mask = _not_frozen(net) if free is None else _mask(net, free)
        self.start: Float64 = self.pick(self._fixed).copy()

    @property
    def fixed_names(self) -> tuple[str, ...]:
        """The names of the network's parameters of which no element is free."""
        if self.mask is None:
            return ()
        return tuple(name for name, free in self._net.views(self.mask).items() if not free.any())

    def pick(self, derivatives: Float64) -> Float64:
        """Return those by the free parameters, of derivatives by all along the last axis."""
        return derivatives if self.mask is None else derivatives[..., self.mask]

    def spread(self, theta: ArrayLike, name: str) -> Float64:
        """Return all parameters, with ``theta`` for the free ones."""
        return self._spread(theta, name, self._fixed)

    def direction(self, vector: ArrayLike, name: str) -> Float64:
        """Return a direction of all parameters, which does not change those that are not free."""
        return self._spread(vector, name, np.zeros_like(self._fixed))

    def _spread(self, value: ArrayLike, name: str, others: Float64) -> Float64:
        if self.mask is None:
            return flat_vector(self._net, value, name)
        numbers = finite_array(value, name, others.dtype)
        if numbers.shape != self.start.shape:
            raise ValueError(
                f"{name} must have shape {self.start.shape}, one number a free parameter, but its "
                f"shape is {numbers.shape}."
            )
        vector = others.copy()
        vector[self.mask] = numbers
        return vector


def _not_frozen(net: Sequential) -> NDArray[np.bool_] | None:
    """Return which parameters are not frozen; None if that is all."""
    if not net.frozen:
        return None
    mask = np.ones(net.params.shape, np.bool_)
    for begin, end in net.frozen_ranges():
        mask[begin:end] = False
    if not mask.any():
        raise ValueError("all parameters are frozen: call net.unfreeze(), or say which are free.")
    return mask


def _mask(net: Sequential, free: Any) -> NDArray[np.bool_]:
    """Return which parameters are free; TypeError or ValueError if ``free`` does not say it."""
    patterns = [free] if isinstance(free, str) else free
    if isinstance(patterns, list | tuple) and all(isinstance(p, str) for p in patterns):
        mask = np.zeros(net.params.shape, np.bool_)
        views = net.views(mask)
        for pattern in patterns:
            for name in matching(pattern, views, "free"):
                views[name][...] = True
    else:
        mask = np.array(free)
        if mask.dtype != np.bool_:
            raise TypeError(
                "free must be patterns of parameters' names such as '*.weight', or an array of "
                f"bool, not {shortened(free)}."
            )
    if mask.shape != net.params.shape:
        raise ValueError(
            f"free must have shape {net.params.shape}, one value a parameter, but its shape is "
            f"{mask.shape}."
        )
    if not mask.any():
        raise ValueError("free must leave at least one parameter free.")
    return mask
