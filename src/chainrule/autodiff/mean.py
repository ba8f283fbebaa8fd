"""Gradients of a mean over more rows than go through a network at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import FloatArray
from chainrule.autodiff.door import PARAMS, X
from chainrule.autodiff.machines import MOST_ROWS
from chainrule.batch import Batch
from chainrule.network import Sequential


class BlockMean:
    """Adds up what blocks of rows give, each by its weight.

    Parameters
    ----------
    net : Sequential
    batch : Batch
        All rows.
    names : tuple
        What to derive by: "params", "x".
    """

    def __init__(self, net: Sequential, batch: Batch, names: tuple[str, ...]) -> None:
        self._is_one_block = batch.rows <= MOST_ROWS
        self._d_params = np.zeros_like(net.params) if PARAMS in names else None
        self._part = self._d_params if self._is_one_block else np.empty_like(net.params)
        self._d_x = np.empty(batch.inputs.shape, net.dtype) if X in names else None
        self._weight = self._sum = 0.0

    def room_for_params(self) -> FloatArray | None:
        """Return where a block's gradient by the parameters goes; None if nobody wants it."""
        return None if self._d_params is None else self._part

    def add(
        self,
        block: slice,
        losses: NDArray[np.float64],
        d_params: FloatArray | None,
        d_x: FloatArray | None,
    ) -> None:
        """Take a block's means: ``losses`` has its weight, and its loss in parts."""
        weight, value = float(losses[0]), float(losses[1:].sum())
        self._weight += weight
        self._sum += value if self._is_one_block else weight * value
        scale = 1.0 if self._is_one_block else weight
        if self._d_params is not None and d_params is not self._d_params:
            self._d_params += scale * d_params
        if self._d_x is not None:
            np.multiply(d_x, scale, out=self._d_x[block])

    @property
    def value(self) -> float:
        """The loss of all rows."""
        return self._sum if self._is_one_block else self._sum / (self._weight or 1.0)

    def gradients(self) -> dict[str, FloatArray]:
        """Return the gradients of the mean by name."""
        by_name = {PARAMS: self._d_params, X: self._d_x}
        found = {name: gradient for name, gradient in by_name.items() if gradient is not None}
        if not self._is_one_block:
            for gradient in found.values():
                gradient /= self._weight or 1.0
        return found
