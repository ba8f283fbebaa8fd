"""The scale of arrays: found in the training rows, and kept in the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.cli.tables import LARGEST, is_constant, moments
from chainrule.layers.layer import Layer

Rows = NDArray[np.int64]

LEAST_DEVIATION = 1e-30  # weights divided by a smaller one may not fit into float32


@dataclass(frozen=True)
class ColumnScales:
    """What is subtracted from each column, and what it is divided by; infinity makes it 0."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def apply(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return scaled columns; ValueError for values that float32 cannot hold then."""
        with np.errstate(over="ignore"):
            result: NDArray[np.float64] = (X - self.mean) / self.deviation
        for row, column in np.argwhere(np.abs(result) > LARGEST)[:1]:
            raise ValueError(
                f"Row {row + 1} of the data, column {column + 1}: {X[row, column]:.6g} is too far "
                "from the training rows' values."
            )
        return result

    def into_first_layer(self, net: cr.Sequential) -> cr.Sequential:
        """Return a copy of a network for scaled columns that takes them as they were before.

        Its first layer, a Linear, has other weights and biases.
        """
        copy = net.copy()
        parameters = copy.parameters()
        weight, bias = parameters["0.weight"], parameters["0.bias"]
        unscaled = weight.astype(np.float64) / self.deviation[:, np.newaxis]
        bias[...] = bias - self.mean @ unscaled
        weight[...] = unscaled
        return copy


def column_scales(X: NDArray[Any], training: Rows) -> ColumnScales | None:
    """Return the scales of rows ``(n, features)``; None if X can be trained on as it is.

    Pixels, whole numbers from 0 on, are divided by the largest one. If there are other numbers than
    from 0 to 1, each column gets mean 0 and deviation 1 in the training rows; if it is the same in
    all of them, it becomes 0.
    """
    seen = X[training]
    columns = X.shape[1]
    if _are_pixels(seen):
        largest = float(seen.max())
        return ColumnScales(np.zeros(columns), np.full(columns, largest)) if largest > 1 else None
    mean, deviation = np.zeros(columns), np.full(columns, np.inf)
    for j in range(columns):
        found = _moments(seen[:, j])
        if found is not None and found[1] >= LEAST_DEVIATION:
            mean[j], deviation[j] = found
    return ColumnScales(mean, deviation)


def scaling_layer(X: NDArray[Any], training: Rows) -> list[Layer]:
    """Return the layer that scales images; none if the network can take them as they are.

    Pixels, whole numbers from 0 on, are divided by the largest one; numbers of another kind than
    from 0 to 1 get mean 0 and deviation 1.
    """
    seen = X[training]
    if _are_pixels(seen):
        largest = float(seen.max())
        return [cr.Rescale(1 / largest)] if largest > 1 else []
    found = _moments(seen.ravel())
    if found is None or found[1] < LEAST_DEVIATION:
        raise ValueError("All numbers of the training images are the same.")
    mean, deviation = found
    return [cr.Rescale(1 / deviation, -mean / deviation)]


def _moments(values: NDArray[Any]) -> tuple[float, float] | None:
    """Return mean and deviation; None if the values are the same but for rounding."""
    floats = values if values.dtype.kind == "f" else values.astype(float)
    return None if is_constant(floats) else moments(floats.astype(float))


def _are_pixels(seen: NDArray[Any]) -> bool:
    """Tell whether there are whole numbers from 0 on, or numbers from 0 to 1."""
    return bool(seen.min() >= 0) and (seen.dtype.kind in "bui" or bool(seen.max() <= 1))
