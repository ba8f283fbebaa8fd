"""Derivatives of a mean over rows that are processed block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chainrule.autodiff.validation import PARAMS, X
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray


class BlockMean:
    """The weighted mean of the blocks' values and gradients.

    Parameters
    ----------
    net : Sequential
    batch : DataSet
        All rows.
    names : tuple
        What to differentiate by: "params", "x".
    """

    def __init__(self, net: Sequential, batch: DataSet, names: tuple[str, ...]) -> None:
        self._d_params = np.zeros(net.params.size, net.dtype) if PARAMS in names else None
        self._d_x = np.empty(batch.inputs.shape, net.dtype) if X in names else None
        self._blocks: list[tuple[slice, float]] = []
        self._weight = self.value = 0.0

    def parameter_buffer(self) -> FloatArray | None:
        """Return the buffer for a block's gradient by the parameters; None if not requested."""
        if self._d_params is None or not self._blocks:
            return self._d_params
        return np.empty_like(self._d_params)

    def add(
        self,
        block: slice,
        losses: NDArray[np.float64],
        d_params: FloatArray | None,
        d_x: FloatArray,
    ) -> None:
        """Add a block's mean values; ``losses`` holds its weight and its loss."""
        weight, value = losses.tolist()
        self._weight += weight
        fraction = weight / self._weight if self._weight > 0 else 0.0
        if self._blocks:
            self.value += fraction * (value - self.value)
        else:
            self.value = value
        so_far = self._d_params
        if so_far is not None and d_params is not None and d_params is not so_far:
            so_far += fraction * (d_params - so_far)
        if self._d_x is not None:
            self._d_x[block] = d_x
        self._blocks.append((block, weight))

    def gradients(self) -> dict[str, FloatArray]:
        """Return the derivatives of the mean by name."""
        found = {}
        if self._d_params is not None:
            found[PARAMS] = self._d_params
        if self._d_x is not None:
            found[X] = self._d_x
            for block, weight in self._blocks:
                self._d_x[block] *= weight / (self._weight or 1.0)
        return found
