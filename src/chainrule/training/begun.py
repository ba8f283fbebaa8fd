"""The part of an epoch that was done before the training paused."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass
class BegunEpoch:
    """How far an epoch, or several that run together, has come.

    Attributes
    ----------
    rows : int
        That were trained on.
    weights, losses : lists of arrays of shape (epochs, steps)
        Of each slice.
    seconds : float
    """

    rows: int = 0
    weights: list[Float64] = field(default_factory=list)
    losses: list[Float64] = field(default_factory=list)
    seconds: float = 0.0
    _weight: float = 0.0
    _total: float = 0.0

    @classmethod
    def after(cls, rows: int, weights: Float64, losses: Float64, seconds: float) -> BegunEpoch:
        """Return one that has come so far."""
        begun = cls(seconds=seconds)
        if rows:
            begun.add(rows, weights.reshape(1, -1), losses.reshape(1, -1))
        return begun

    def add(self, rows: int, weights: Float64, losses: Float64) -> None:
        """Take in a slice."""
        self.rows += rows
        self.weights.append(weights)
        self.losses.append(losses)
        self._weight += float(weights[-1].sum())
        self._total += float(weights[-1] @ losses[-1])

    @property
    def all_weights(self) -> Float64:
        """The steps' weights, of one epoch."""
        return np.concatenate([np.empty(0), *(weights[-1] for weights in self.weights)])

    @property
    def loss(self) -> float:
        """The mean so far, of the last epoch among them."""
        return self._total / (self._weight or 1)

    def mean_losses(self) -> list[float]:
        """Return the weighted mean of each epoch; 0 where nothing has a weight."""
        losses, weights = np.hstack(self.losses), np.hstack(self.weights)
        totals = weights.sum(axis=1)
        sums = (losses * weights).sum(axis=1)
        means: list[float] = (sums / np.where(totals > 0, totals, 1)).tolist()
        return means
