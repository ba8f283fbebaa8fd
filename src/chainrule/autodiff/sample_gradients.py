"""The gradients of single samples, from what a walk back through a batch has left in the arena."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.autodiff.machines import borrowed
from chainrule.autodiff.plans import plain_plan
from chainrule.engine.backends import get_function, threads_for
from chainrule.engine.machine import Machine
from chainrule.models.sequential import Sequential
from chainrule.plan.instructions import Op, Phase
from chainrule.utils.arrays import FloatArray

LEAST_OF_A_THREAD = 1 << 20  # numbers to write
BLOCK_NUMBERS = 1 << 18  # of gradients that are made for their norms' sake, at a time


class SampleGradients:
    """The samples of a batch, each with its gradient by the parameters.

    Parameters
    ----------
    net : Sequential
    machine : Machine
        Its plan keeps everything, and has been walked forward and back.
    params : array
    inputs : array
        The batch.
    d_outputs : list of arrays
        The gradient by each output that the walk back began with.
    """

    def __init__(
        self,
        net: Sequential,
        machine: Machine,
        params: FloatArray,
        inputs: NDArray[Any],
        d_outputs: Sequence[FloatArray],
    ) -> None:
        self._net, self._machine, self._params = net, machine, params
        self._inputs, self._d_outputs = inputs, d_outputs
        self._steps = machine.plan.instructions
        self._is_linear = self._steps["op"] == int(Op.LINEAR)
        self._by_rule = bool((self._is_linear | (self._steps["weight"] < 0)).all())

    def write(self, result: FloatArray, place: int) -> None:
        """Write sample i's gradient to ``result[i, place]``, a contiguous array of three axes."""
        rows, places, size = result.shape
        grads, stride = result.reshape(-1), places * size

        def write(first: int, last: int) -> None:
            self._write(first, last, first * stride + place * size, stride, grads)

        most = threads_for(self._net.backend) if self._by_rule else 1
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
        is_sum = self._is_linear & (self._steps["adds_dw"] | (self._steps["repeat"] > 1))
        if self._by_rule and not is_sum.any():
            squares, of_x, of_dz = np.empty((3, rows))
            square_norms = get_function(self._net.backend, "samples", "square_norms")
            square_norms(self._steps, self._machine.arena, rows, of_x, of_dz, squares)
            return np.sqrt(squares).astype(dtype)
        norms = np.empty(rows, dtype)
        together = max(1, BLOCK_NUMBERS // max(1, size))
        gradients = np.empty((min(together, rows), size), dtype)
        for first in range(0, rows, together):
            last = min(first + together, rows)
            self._write(first, last, 0, size, gradients.reshape(-1))
            few = gradients[: last - first]
            norms[first:last] = np.sqrt(np.einsum("ij,ij->i", few, few, dtype=float))
        return norms

    def _write(self, first: int, last: int, begin: int, stride: int, grads: FloatArray) -> None:
        """Write the gradients from ``first`` to ``last``, one each ``stride`` from ``begin`` on."""
        if self._by_rule:
            differentiate = get_function(self._net.backend, "samples", "differentiate_samples")
            differentiate(self._steps, self._machine.arena, first, last, begin, stride, grads)
            return
        # Of some layer, only the sum over a batch is known: it takes batches of one.
        size, shape = self._params.size, self._inputs.shape[1:]
        with borrowed(self._net, plain_plan, shape, 1, loss=None, keep=False) as machine:
            for i in range(first, last):
                at = begin + (i - first) * stride
                row = np.arange(i, i + 1)
                machine.run(Phase.FORWARD, row, params=self._params, inputs=self._inputs)
                for head, d_output in enumerate(self._d_outputs):
                    machine.rows_at("d_output", 1, head)[0] = d_output[i]
                machine.run(Phase.BACKWARD, row, params=self._params, grads=grads[at : at + size])
