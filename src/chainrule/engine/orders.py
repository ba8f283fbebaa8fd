"""The random orders of the data's rows in the epochs of a training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A separate random stream, as the data and initial parameters may have the same seed.
ORDERS = 0x07DE75


class EpochOrders:
    """The orders of the rows in all epochs; an epoch's depends on the seed and its number alone.

    Parameters
    ----------
    rows : int
    seed : int or None
        Without one, the rows are not shuffled.
    """

    def __init__(self, rows: int, seed: int | None) -> None:
        self._rows, self._next = rows, 0
        self._bits: np.random.PCG64 | None = None
        if seed is not None:
            # One stream for all epochs: a new one takes as long as 10,000 rows.
            self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(ORDERS,)))

    def epochs(self, first: int, count: int) -> NDArray[np.int64]:
        """Return the orders of ``count`` epochs from number ``first`` on, a row each."""
        orders = np.empty((count, self._rows), np.int64)
        if self._bits is None:
            orders[:] = np.arange(self._rows)
            return orders
        from chainrule.kernels.random import shuffle  # loads Numba

        self._bits.advance((first - self._next) * self._rows)
        self._next = first + count
        shuffle(np.random.Generator(self._bits).random(orders.shape), orders)
        return orders
