"""The passes of a training loop by hand: forward for a batch, then backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from chainrule.engine.machine import Machine
from chainrule.kernels.context import Phase
from chainrule.utils.arrays import FloatArray


class BatchPasses:
    """The passes of one network, for batches of one shape with so many rows at most.

    Parameters
    ----------
    machine : Machine
    threads : how many its plan was made for.
    training : whether dropouts leave elements out.
    params, grads : vectors of the network.
    """

    def __init__(
        self,
        machine: Machine,
        threads: int,
        training: bool,
        params: FloatArray,
        grads: FloatArray,
    ) -> None:
        self._machine, self._threads, self._training = machine, threads, training
        self._shape, self._most = machine.plan.input_shape, machine.plan.batch
        self.output_shapes = machine.plan.output_shapes
        self._forward = machine.prepare_run(Phase.FORWARD, params=params)
        phases = Phase.BACKWARD | Phase.INPUT_GRADIENT
        self._backward = machine.prepare_run(phases, params=params, grads=grads)

    def can_take(self, shape: tuple[int, ...], threads: int, training: bool) -> bool:
        """Tell whether they are right for a batch of this shape."""
        return (
            self._machine.usable
            and shape[0] <= self._most
            and shape[1:] == self._shape
            and threads == self._threads
            and training == self._training
        )

    def forward(self, batch: NDArray[Any], masks: tuple[int, int]) -> list[FloatArray]:
        """Return the outputs."""
        self._forward(len(batch), inputs=batch, masks=masks)
        return self._machine.outputs(len(batch))

    def backward(
        self, gradients: Sequence[FloatArray], rows: int, masks: tuple[int, int]
    ) -> FloatArray:
        """Return the gradient by the input, from those by the outputs."""
        self._machine.start_back_with(gradients, rows)
        self._backward(rows, masks=masks)
        return self._machine.rows_at("d_input", rows).copy()
