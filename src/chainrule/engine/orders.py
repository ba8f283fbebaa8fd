"""The random orders of the data's rows in the epochs of a training."""

import numpy as np
from numpy.typing import NDArray

# A separate random stream, as the data and initial parameters may have the same seed.
ORDERS = 0x07DE75


def epoch_orders(rows: int, first: int, count: int, *, seed: int | None) -> NDArray[np.int64]:
    """Return the orders of ``count`` epochs from number ``first`` on, a row each.

    An epoch's order depends on the seed and its number alone, not on ``count``. Without a seed, the
    rows are not shuffled.
    """
    orders = np.empty((count, rows), np.int64)
    if seed is None:
        orders[:] = np.arange(rows)
        return orders
    from chainrule.kernels.random import shuffle  # loads Numba

    # One stream for all epochs: a new generator for each takes as long as a thousand rows.
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(ORDERS,)))
    random = np.random.Generator(bits.advance(first * rows))
    for order in orders:
        shuffle(random.random(rows), order)
    return orders
