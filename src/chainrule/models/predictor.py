"""What a network's ``predict`` does, prepared for rows of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.engine.batch_run import BatchRun, ByShape
from chainrule.engine.machine import Machine
from chainrule.engine.pool import UsesMachine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import Batch, shape_of


class Predictor(UsesMachine):
    """Computes outputs, block by block.

    Parameters
    ----------
    machine : Machine
    params : the network's parameters.
    takes_codes : whether each batch must be checked for them.
    """

    def __init__(self, machine: Machine, params: FloatArray, takes_codes: bool) -> None:
        super().__init__(machine)
        self._run = machine.prepare_run(Phase.FORWARD | Phase.OUTPUT)
        self._vectors = machine.vectors(params)
        self._plan = machine.plan
        self._columns = self._plan.output_columns
        one_output = len(self._plan.output_shapes) == 1
        self._can_repeat = one_output and not takes_codes and BatchRun.can_use(machine)
        self._by_shape: ByShape[tuple[BatchRun, tuple[int, ...]]] = ByShape()

    def __call__(self, x: Batch) -> list[FloatArray]:
        """Return the outputs for a batch that was checked."""
        rows = len(x)
        outputs = np.empty((rows, self._columns), self.machine.dtype)
        data = make_data(self.machine.dtype, x)
        self._run(rows, self._vectors, data, self.machine.results(outputs))
        if self._can_repeat and rows <= self._plan.batch and x.shape not in self._by_shape:
            output_shape = rows, *self._plan.output_shapes[0]
            self._by_shape.keep(x.shape, (BatchRun(self._run, x.shape), output_shape))
        return self._plan.split_outputs(outputs)

    def repeat(self, x: Any) -> FloatArray | None:
        """Return the only output for a batch of a shape that there was before.

        None if there was none, or if it needs a closer look.
        """
        run, shape = self._by_shape.get(shape_of(x)) or (None, ())
        batch = None if run is None else run.ready(x)
        if run is None or batch is None:
            return None
        outputs = np.empty((run.rows, self._columns), self.machine.dtype)
        if run(self._vectors, batch, outputs=outputs) != 1:
            return None
        return outputs if outputs.shape == shape else outputs.reshape(shape)
