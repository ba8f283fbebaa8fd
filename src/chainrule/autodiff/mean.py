"""Derivatives of a mean over rows that are processed block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.autodiff.validation import PARAMS, X
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import arrays_of, one_or_tuple


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
        inputs = arrays_of(batch.inputs) if X in names else ()
        self._d_x = [np.empty(x.shape, net.dtype) for x in inputs]
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
        d_x: Sequence[FloatArray],
    ) -> None:
        """Add a block's mean values; ``losses`` holds its weight and its loss.

        ``d_x`` are the gradients by each input.
        """
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
        for whole, part in zip(self._d_x, d_x, strict=False):  # there is none if not requested
            whole[block] = part
        self._blocks.append((block, weight))

    def gradients(self) -> dict[str, Any]:
        """Return the derivatives of the mean by name."""
        found: dict[str, Any] = {}
        if self._d_params is not None:
            found[PARAMS] = self._d_params
        if self._d_x:
            found[X] = one_or_tuple(self._d_x)
            for block, weight in self._blocks:
                for d_x in self._d_x:
                    d_x[block] *= weight / (self._weight or 1.0)
        return found
