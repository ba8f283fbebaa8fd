"""The passes of a training loop by hand: forward for a batch, then backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
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

    def can_take(self, shape: tuple[int, ...], threads: int, training: bool) -> bool:
        """Tell whether it is right for a batch of this shape."""
        plan = self.machine.plan
        return (
            self.machine.usable
            and shape[0] <= plan.batch
            and shape[1:] == plan.input_shape
            and threads == self.threads
            and training == self.training
        )


class BatchPasses:
    """The passes of one network.

    Parameters
    ----------
    batch_machine : BatchMachine
    params, grads : vectors of the network.
    """

    def __init__(self, batch_machine: BatchMachine, params: FloatArray, grads: FloatArray) -> None:
        self.batch_machine, self._machine = batch_machine, batch_machine.machine
        self.output_shapes = self._machine.plan.output_shapes
        self._vectors = self._machine.vectors(params, grads=grads)
        self._forward = self._machine.prepare_run(Phase.FORWARD)
        self._backward = self._machine.prepare_run(Phase.BACKWARD | Phase.INPUT_GRADIENT)

    def forward(self, batch: NDArray[Any], masks: tuple[int, int]) -> list[FloatArray]:
        """Return the outputs."""
        data = make_data(self._machine.dtype, batch)
        self._forward(len(batch), self._vectors, data, masks=masks)
        return self._machine.outputs(len(batch))

    def backward(
        self, gradients: Sequence[FloatArray], rows: int, masks: tuple[int, int]
    ) -> FloatArray:
        """Return the gradient by the input, from those by the outputs."""
        self._machine.start_back_with(gradients, rows)
        self._backward(rows, self._vectors, masks=masks)
        return self._machine.rows_at("d_input", rows).copy()
