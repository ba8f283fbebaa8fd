"""The passes of a training loop by hand: forward for a batch, then backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.engine.batch_run import BatchRun, ByShape
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import Batch, one_or_tuple, shape_of


class BatchMachine(NamedTuple):
    """A machine for batches of one shape with so many rows at most.

    Attributes
    ----------
    machine : Machine
    threads : how many its plan was made for.
    training : whether layers act as in a training step.
    frozen : the parameters whose gradients it leaves out.
    """

    machine: Machine
    threads: int
    training: bool
    frozen: tuple[str, ...]

    def is_for(self, threads: int, training: bool, frozen: tuple[str, ...]) -> bool:
        """Tell whether it can be used, and was made for this."""
        return (
            threads == self.threads
            and training == self.training
            and frozen == self.frozen
            and self.machine.usable
        )

    def can_take(
        self, shape: tuple[int, ...], threads: int, training: bool, frozen: tuple[str, ...]
    ) -> bool:
        """Tell whether it is right for a batch of this shape."""
        plan = self.machine.plan
        return (
            self.is_for(threads, training, frozen)
            and shape[0] <= plan.batch
            and shape[1:] == plan.input_shape
        )


class _Again(NamedTuple):
    """What is prepared for batches of one shape, with one output."""

    forward: BatchRun
    backward: BatchRun
    d_output: FloatArray  # where the backward pass begins
    d_inputs: list[FloatArray]
    output_shape: tuple[int, ...]


class BatchPasses:
    """The passes of one network, for batches that its machine can take.

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
        self._by_shape: ByShape[_Again] = ByShape()
        self._latest: _Again | None = None  # that of the latest forward pass, if it is prepared for

    def forward(self, batch: Batch, masks: tuple[int, int]) -> list[FloatArray]:
        """Return the outputs for a batch that was checked."""
        rows, machine = len(batch), self._machine
        self._latest = None
        outputs = np.empty((rows, self._columns), machine.dtype)
        data, results = make_data(machine.dtype, batch), machine.results(outputs)
        self._forward(rows, self._vectors, data, results, masks=masks)
        self._latest = self._by_shape.get(batch.shape) or self._prepare(batch.shape)
        return machine.plan.split_outputs(outputs)

    def _prepare(self, shape: tuple[Any, ...]) -> _Again | None:
        """Prepare for further batches of this shape."""
        machine, rows = self._machine, shape[0]
        if len(self.output_shapes) > 1 or not BatchRun.can_use(machine):
            return None
        output_shape = rows, *self.output_shapes[0]
        made = _Again(
            BatchRun(self._forward, shape),
            BatchRun(self._backward, output_shape),
            machine.rows_at("d_output", rows),
            machine.input_gradients(rows),
            output_shape,
        )
        self._by_shape.keep(shape, made)
        return made

    def forward_again(self, x: Any, masks: tuple[int, int]) -> FloatArray | None:
        """Return the only output for a batch of a shape that is prepared for.

        None if it is not, or not finite; then nothing was done.
        """
        again = self._by_shape.get(shape_of(x))
        batch = None if again is None else again.forward.ready(x)
        if again is None or batch is None:
            return None
        shape = again.output_shape
        outputs = np.empty((shape[0], self._columns), self._machine.dtype)
        if again.forward(self._vectors, batch, outputs=outputs, masks=masks) == NOT_FINITE:
            return None
        self._latest = again
        return outputs if outputs.shape == shape else outputs.reshape(shape)

    def backward_again(self, d_output: Any, masks: tuple[int, int]) -> Any:
        """Return what :meth:`backward` does, from the gradient by the only output.

        None if that is not finite, or not like the output of the latest forward pass.
        """
        again = self._latest
        gradient = None if again is None else again.backward.ready(d_output)
        if again is None or gradient is None:
            return None
        again.d_output[...] = gradient
        # The gradient is no target: it is given as one so that compiled code looks at it.
        if again.backward(self._vectors, targets=gradient, masks=masks) == NOT_FINITE:
            return None
        return one_or_tuple([gradient.copy() for gradient in again.d_inputs])

    def backward(self, gradients: Sequence[FloatArray], rows: int, masks: tuple[int, int]) -> Any:
        """Return the gradient by the input, or a tuple of those by all, from those by outputs."""
        self._machine.start_back_with(gradients, rows)
        self._backward(rows, self._vectors, masks=masks)
        return one_or_tuple([gradient.copy() for gradient in self._machine.input_gradients(rows)])
