"""The passes of a training loop by hand: forward for a batch, then backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.utils.arrays import FloatArray


class BatchMachine(NamedTuple):
    """A machine for batches of one shape with so many rows at most.

    Attributes
    ----------
    machine : Machine
    threads : how many its plan was made for.
    training : whether layers act as in a training step.
    """

    machine: Machine
    threads: int
    training: bool

    def is_for(self, threads: int, training: bool) -> bool:
        """Tell whether it can be used, and is right for so many threads and this behaviour."""
        return threads == self.threads and training == self.training and self.machine.usable

    def can_take(self, shape: tuple[int, ...], threads: int, training: bool) -> bool:
        """Tell whether it is right for a batch of this shape."""
        plan = self.machine.plan
        return (
            self.is_for(threads, training)
            and shape[0] <= plan.batch
            and shape[1:] == plan.input_shape
        )


class BatchPasses:
    """The passes of one network, prepared for batches of one shape.

    Parameters
    ----------
    batch_machine : BatchMachine
    params, grads : vectors of the network.
    """

    def __init__(self, batch_machine: BatchMachine, params: FloatArray, grads: FloatArray) -> None:
        self.batch_machine = batch_machine
        machine = self._machine = batch_machine.machine
        plan = machine.plan
        self.output_shapes, self._columns = plan.output_shapes, plan.output_columns
        self._vectors = machine.vectors(params, grads=grads)
        self._forward = machine.prepare_run(Phase.FORWARD | Phase.OUTPUT)
        self._backward = machine.prepare_run(Phase.BACKWARD | Phase.INPUT_GRADIENT)
        self._rows = 0
        self._forward_again: BatchRun | None = None  # for batches like the latest one
        self._backward_again: BatchRun | None = None

    def forward(self, batch: NDArray[Any], masks: tuple[int, int]) -> list[FloatArray]:
        """Return the outputs for a batch that was checked."""
        rows, machine = len(batch), self._machine
        outputs = np.empty((rows, self._columns), machine.dtype)
        data, results = make_data(machine.dtype, batch), machine.results(outputs)
        self._forward(rows, self._vectors, data, results, masks=masks)
        if rows != self._rows:
            self._prepare_again(batch.shape)
        return machine.plan.split_outputs(outputs)

    def _prepare_again(self, shape: tuple[int, ...]) -> None:
        """Prepare for further batches of this shape."""
        rows = self._rows = shape[0]
        self._forward_again = self._backward_again = None
        if BatchRun.can_use(self._machine) and len(self.output_shapes) == 1:
            self._shape = rows, *self.output_shapes[0]
            self._forward_again = BatchRun(self._forward, shape)
            self._backward_again = BatchRun(self._backward, self._shape)
            self._d_output = self._machine.rows_at("d_output", rows)
            self._d_input = self._machine.rows_at("d_input", rows)

    def forward_again(self, x: Any, masks: tuple[int, int]) -> FloatArray | None:
        """Return the only output for a batch like the one before.

        None if it is not like it, or not finite; then nothing was done.
        """
        run = self._forward_again
        batch = None if run is None else run.fitted(x)
        if run is None or batch is None:
            return None
        outputs = np.empty((self._rows, self._columns), self._machine.dtype)
        if run(self._vectors, batch, outputs=outputs, masks=masks) == NOT_FINITE:
            return None
        return outputs if outputs.shape == self._shape else outputs.reshape(self._shape)

    def backward_again(self, d_output: Any, masks: tuple[int, int]) -> FloatArray | None:
        """Return the gradient by the input, from the one by the only output.

        None if that is not finite, or not like the output of the latest forward pass.
        """
        run = self._backward_again
        gradient = None if run is None else run.fitted(d_output)
        if run is None or gradient is None:
            return None
        self._d_output[...] = gradient
        if run(self._vectors, targets=gradient, masks=masks) == NOT_FINITE:
            return None
        return self._d_input.copy()

    def backward(
        self, gradients: Sequence[FloatArray], rows: int, masks: tuple[int, int]
    ) -> FloatArray:
        """Return the gradient by the input, from those by the outputs."""
        self._machine.start_back_with(gradients, rows)
        self._backward(rows, self._vectors, masks=masks)
        return self._machine.rows_at("d_input", rows).copy()
