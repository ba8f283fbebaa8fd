"""The way back to the last finite parameters.

Checking every update would cost each step a pass over memory. Instead, training keeps a copy of
the state from time to time, and the batches since; when parameters turn out not to be finite, it
goes back to the copy and repeats the steps one by one, bit for bit the same, until just before
the one that did it.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from chainrule.network import Sequential
from chainrule.optimizers import OptimizerState

COPY_SHARE = 0.02  # of the time, at most, goes into copies


class Rollback:
    """Copies of a network's parameters and optimizer state, and the batches trained since.

    Parameters
    ----------
    network, state
        What is copied and restored.
    step : function
        Trains the network on the rows of one batch.
    """

    def __init__(
        self,
        network: Sequential,
        state: OptimizerState,
        step: Callable[[NDArray[np.int64]], object],
    ) -> None:
        self._network, self._state, self._step = network, state, step
        self._batches: list[NDArray[np.int64]] = []
        self._copy()

    def _copy(self) -> None:
        started = perf_counter()
        self._params, self._earlier = self._network.params.copy(), self._state.copy()
        self._batches.clear()
        self._copied = perf_counter()
        self._next_copy = self._copied + (self._copied - started) / COPY_SHARE

    def before(self, rows: NDArray[np.int64], batch: int) -> None:
        """Note that batches of ``batch`` of these rows come next."""
        if self._batches and perf_counter() > self._next_copy:
            self._copy()
        self._batches += [rows[i : i + batch] for i in range(0, rows.size, batch)]

    def to_last_finite(self) -> None:
        """Leave network and state as they were after the last step that kept them finite."""
        self._network.params = self._params
        self._state.restore(self._earlier)
        for rows in list(self._batches):
            params, state = self._network.params.copy(), self._state.copy()
            self._step(rows)
            if not np.isfinite(self._network.params).all():
                self._network.params[:] = params
                self._state.restore(state)
                return
