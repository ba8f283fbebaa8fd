"""What a network's ``predict`` does, prepared for rows of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.utils.arrays import FloatArray


class Predictor:
    """Computes outputs, block by block.

    Parameters
    ----------
    machine : Machine
    params : the network's parameters.

    Attributes
    ----------
    machine : Machine
    """

    def __init__(self, machine: Machine, params: FloatArray) -> None:
        self.machine = machine
        self._run = machine.prepare_run(Phase.FORWARD | Phase.OUTPUT)
        self._vectors = machine.vectors(params)
        self._plan = machine.plan
        self._columns = self._plan.output_columns
        self._is_vector = [len(shape) for shape in self._plan.output_shapes] == [1]
        self._batch_run: BatchRun | None = None  # for batches like the latest one
        self._rows = 0  # of these

    @property
    def usable(self) -> bool:
        """Whether the machine can run again."""
        return self.machine.usable

    @property
    def arena(self) -> FloatArray:
        """The machine's."""
        return self.machine.arena

    def __call__(self, x: NDArray[Any]) -> list[FloatArray]:
        """Return the outputs for a batch that was checked."""
        outputs = np.empty((len(x), self._columns), self.machine.dtype)
        data = make_data(self.machine.dtype, x)
        self._run(len(x), self._vectors, data, self.machine.results(outputs))
        is_one_block = len(x) <= self._plan.batch and BatchRun.can_use(self.machine)
        self._batch_run = BatchRun(self._run, x.shape) if is_one_block else None
        self._rows = len(x)
        return self._plan.split_outputs(outputs)

    def repeat(self, x: Any) -> FloatArray | None:
        """Return the only output for a batch like the one before; None if it is none, or wrong."""
        run = self._batch_run
        batch = None if run is None or not self._is_vector else run.fitted(x)
        if run is None or batch is None:
            return None
        outputs = np.empty((self._rows, self._columns), self.machine.dtype)
        return outputs if run(self._vectors, batch, outputs=outputs) == 1 else None
