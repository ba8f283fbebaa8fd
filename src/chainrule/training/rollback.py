"""Rollback to the last finite parameters.

A check after every update would cost each step a pass over memory. Instead, the state is copied
from time to time, and the batches since then are recorded. When parameters are not finite, the copy
is restored and the steps are repeated one by one, with the same bits, up to the last finite one.
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.optimizers import OptimizerState
from chainrule.utils.arrays import FloatArray, all_finite

COPY_TIME_FRACTION = 0.02  # the largest fraction of the time that is spent on copies

# The memory of copies is reused by the next training with the same state: the first use of new
# pages takes many times as long as copying into old ones.
_copies: WeakKeyDictionary[OptimizerState, tuple[FloatArray, OptimizerState]] = WeakKeyDictionary()


class Rollback:
    """A copy of a network's values and optimizer state, and the rows trained on since.

    Parameters
    ----------
    network, state
        The network and the optimizer's state, which are copied and restored.
    step : function
        Trains the network on one batch, given its rows, its learning rate or None for the
        optimizer's, and the data set that the rows are from.
    batch : int
        Rows of a batch.
    average
        An average that follows the parameters, if any: it is restored with them.
    """

    def __init__(
        self,
        network: Sequential,
        state: OptimizerState,
        step: Callable[[NDArray[np.int64], NDArray[np.float64] | None, DataSet], object],
        batch: int,
        average: FloatArray | None = None,
    ) -> None:
        self._network, self._state, self._step, self._batch = network, state, step, batch
        self._average = average
        self._earlier_average = None if average is None else average.copy()
        self._slices: list[tuple[NDArray[np.int64], NDArray[np.float64] | None, DataSet]] = []
        self.copy()

    @property
    def size(self) -> int:
        """How many numbers a copy has."""
        return self._network.values.size + self._state.vectors.size

    def copy(self) -> None:
        """Copy the present state, and forget the batches before."""
        started = perf_counter()
        if self._state in _copies:
            values, earlier = _copies[self._state]
            values[:] = self._network.values
            earlier.restore(self._state)
        else:
            _copies[self._state] = self._network.values.copy(), self._state.copy()
        if self._average is not None and self._earlier_average is not None:
            self._earlier_average[:] = self._average
        self._slices.clear()
        self._copied = perf_counter()
        self._next_copy = self._copied + (self._copied - started) / COPY_TIME_FRACTION

    def before(
        self, orders: NDArray[np.int64], rates: NDArray[np.float64] | None, data: DataSet
    ) -> None:
        """Record the batches that come next: a vector of rows for each epoch.

        ``rates`` are their learning rates; None for the optimizer's.
        """
        _, earlier = _copies[self._state]
        # Repeated steps use the copy's hyperparameters, so a change of them needs a new copy.
        other_numbers = not self._state.has_hyperparameters_of(earlier, but_lr=rates is not None)
        if other_numbers or (self._slices and perf_counter() > self._next_copy):
            self.copy()
        self._slices.append((orders, rates, data))

    def to_last_finite(self) -> tuple[int, str]:
        """Restore network and state as they were after the last finite step.

        The gradients are those of the step after it.

        Returns
        -------
        step : int
            The step after it, counted from 0 in the slice of the last call of :meth:`before`.
        name : str
            The first parameter or buffer that is not finite after that step.
        """
        self._network.values[:], earlier = _copies[self._state]
        self._state.restore(earlier)
        average = np.empty(0) if self._average is None else self._average
        if self._earlier_average is not None:
            average[:] = self._earlier_average
        views = self._network.named_values()
        for step, rows, rate, data in self._batches():
            before = self._network.values.copy(), average.copy(), self._state.copy()
            self._step(rows, rate, data)
            if not all_finite(self._network.values):
                name = next(name for name, view in views.items() if not np.isfinite(view).all())
                self._network.values[:], average[:], state = before
                self._state.restore(state)
                return step, name
        return step, next(iter(views))  # possible if a user's function is random

    def _batches(
        self,
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64] | None, DataSet]]:
        """Yield each step since the copy: its number in its slice, its rows, rate and data."""
        for orders, rates, data in self._slices:
            step = 0
            for rows in orders:
                for start in range(0, rows.size, self._batch):
                    rate = None if rates is None else rates[step : step + 1]
                    yield step, rows[start : start + self._batch], rate, data
                    step += 1
