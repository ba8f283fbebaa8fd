"""The progress of unfinished epochs: rows, losses and time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass
class StartedEpochs:
    """The progress of an epoch that is not finished, or of several that run together.

    Attributes
    ----------
    rows : int
        Rows of each epoch that were trained on.
    weights, losses : lists of arrays of shape (epochs, steps)
        The steps' weights and losses, an array for each slice.
    seconds : float
    """

    rows: int = 0
    weights: list[Float64] = field(default_factory=list)
    losses: list[Float64] = field(default_factory=list)
    seconds: float = 0.0
    _weight: float = 0.0
    _total: float = 0.0

    @classmethod
    def after(cls, rows: int, weights: Float64, losses: Float64, seconds: float) -> StartedEpochs:
        """Return the progress of an epoch after so many rows."""
        started = cls(seconds=seconds)
        if rows:
            started.add(rows, weights.reshape(1, -1), losses.reshape(1, -1))
        return started

    def add(self, rows: int, weights: Float64, losses: Float64) -> None:
        """Add the steps of a slice."""
        self.rows += rows
        self.weights.append(weights)
        self.losses.append(losses)
        self._weight += float(weights[-1].sum())
        self._total += float(weights[-1] @ losses[-1])

    @property
    def all_weights(self) -> Float64:
        """The steps' weights, for one epoch."""
        return np.concatenate([np.empty(0), *(weights[-1] for weights in self.weights)])

    @property
    def loss(self) -> float:
        """The mean loss so far, in the last of the epochs."""
        return self._total / (self._weight or 1)

    def mean_losses(self) -> list[float]:
        """Return the weighted mean of each epoch; 0 where all weights are 0."""
        losses, weights = (np.concatenate(each, axis=1) for each in (self.losses, self.weights))
        totals = weights.sum(axis=1)
        sums = (losses * weights).sum(axis=1)
        means: list[float] = (sums / np.where(totals > 0, totals, 1)).tolist()
        return means
