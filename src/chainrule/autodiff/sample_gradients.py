"""The gradients of single samples, from the arena after a backward pass of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from chainrule.autodiff.machines import borrowed
from chainrule.autodiff.plans import plain_plan
from chainrule.engine.backends import threads_for
from chainrule.engine.binding import code_of
from chainrule.engine.machine import Machine
from chainrule.engine.records import make_data
from chainrule.kernels.context import Phase
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import Batch

LEAST_OF_A_THREAD = 1 << 20  # numbers to write
BLOCK_NUMBERS = 1 << 18  # elements of the gradients that exist at a time to compute their norms


class SampleGradients:
    """The samples of a batch, each with its gradient by the parameters.

    Parameters
    ----------
    net : Sequential
    machine : Machine
        Its plan retains all values, and has run the forward and the backward pass.
    params : array
    inputs : array or ArrayTuple
        The batch.
    d_outputs : list of arrays
        The gradient by each output that the backward pass started from.
    """

    def __init__(
        self,
        net: Sequential,
        machine: Machine,
        params: FloatArray,
        inputs: Batch,
        d_outputs: Sequence[FloatArray],
    ) -> None:
        self._net, self._machine, self._params = net, machine, params
        self._inputs, self._d_outputs = inputs, d_outputs
        trained = [step for step in machine.plan.steps if step.trains]
        self._by_step = all(
            step.parameters.keys() <= step.operation.gradients.keys() for step in trained
        )
        names = [use.name for step in trained for use in step.parameters.values()]
        # Each weight is used once, with one row of input for each sample.
        self._is_outer_product = all(
            step.operation.square_norms is not None and step.y.shape[:-1] == () for step in trained
        ) and len(set(names)) == len(names)
        self._trained = trained

    def write(self, result: FloatArray, place: int) -> None:
        """Write sample i's gradient to ``result[i, place]``, a contiguous array of three axes."""
        rows, places, size = result.shape
        grads, stride = result.reshape(-1), places * size

        def write(first: int, last: int) -> None:
            self._write(first, last, first * stride + place * size, stride, grads)

        most = threads_for(self._net.backend) if self._by_step else 1
        threads = max(1, min(most, rows, rows * size // LEAST_OF_A_THREAD))
        ends = [rows * i // threads for i in range(threads + 1)]
        if threads == 1:
            write(0, rows)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, ends[:-1], ends[1:]))

    def norms(self) -> FloatArray:
        """Return the norm of each sample's gradient."""
        rows, size, dtype = len(self._inputs), self._params.size, self._params.dtype
        if self._is_outer_product:
            return np.sqrt(self._square_norms(rows)).astype(dtype)
        norms = np.empty(rows, dtype)
        together = max(1, BLOCK_NUMBERS // max(1, size))
        gradients = np.empty((min(together, rows), size), dtype)
        for first in range(0, rows, together):
            last = min(first + together, rows)
            self._write(first, last, 0, size, gradients.reshape(-1))
            few = gradients[: last - first]
            norms[first:last] = np.sqrt(np.einsum("ij,ij->i", few, few, dtype=float))
        return norms

    def _square_norms(self, rows: int) -> NDArray[np.float64]:
        """Return the squared norms of the samples' gradients, without building the gradients."""
        squares = np.zeros(rows)
        for step in self._trained:
            function = step.operation.square_norms
            assert function is not None
            of_x, of_dy = (
                self._machine.value_at(step.x, rows),
                self._machine.gradient_at(step.y, rows),
            )
            has_bias = int("bias" in step.parameters)
            given = {"x": of_x, "dy": of_dy, "has_bias": has_bias, "squares": squares}
            code_of(function, self._net.backend)(*(given[name] for name in function.names))
        return squares

    def _write(self, first: int, last: int, begin: int, stride: int, grads: FloatArray) -> None:
        """Write the gradients from ``first`` to ``last``, ``stride`` apart, from ``begin`` on."""
        if self._by_step:
            self._machine.differentiate_samples(first, last, begin, stride, self._params, grads)
            return
        # Some layer can only compute the sum over a batch: run batches of one row.
        size, shape = self._params.size, self._inputs.shape[1:]
        data = make_data(self._net.dtype, self._inputs)
        with borrowed(self._net, plain_plan, shape, 1, loss=None, retain=False) as machine:
            for i in range(first, last):
                at = begin + (i - first) * stride
                row = np.arange(i, i + 1)
                machine.run(Phase.FORWARD, row, machine.vectors(self._params), data)
                for head, d_output in enumerate(self._d_outputs):
                    machine.rows_at("d_output", 1, head)[0] = d_output[i]
                vectors = machine.vectors(self._params, grads=grads[at : at + size])
                machine.run(Phase.BACKWARD, row, vectors)
