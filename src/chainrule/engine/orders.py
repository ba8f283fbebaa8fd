"""The orders in which the epochs of a training see the rows of its data."""

import numpy as np
from numpy.typing import NDArray


def epoch_orders(rows: int, first: int, count: int, *, seed: int | None) -> NDArray[np.int64]:
    """Return the orders of ``count`` epochs from number ``first`` on, a row each.

    An epoch's order follows from the seed and its number alone, so it does not matter how many
    are asked for at once. Without a seed, rows keep their order.
    """
    orders = np.empty((count, rows), np.int64)
    if seed is None:
        orders[:] = np.arange(rows)
        return orders
    from chainrule.kernels.random import shuffle  # loads Numba

    # One stream for all epochs: a new generator for each takes as long as a thousand rows.
    random = np.random.Generator(np.random.PCG64(seed).advance(first * rows))
    for order in orders:
        shuffle(random.random(rows), order)
    return orders
