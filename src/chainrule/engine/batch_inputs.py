"""What small batches called from Python give to compiled code: one input, or several."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from chainrule.engine.machine import Machine
from chainrule.engine.records import Array
from chainrule.engine.rows import BYTE, CODES, Rows
from chainrule.kernels.context import CONTEXT_SIZE
from chainrule.utils.arrays import ready_array
from chainrule.utils.inputs import shapes_of

MOST_BYTES = 1 << 20  # of several inputs: copying more takes longer than what the copy saves


class OneInput:
    """Batches of one shape and dtype, read in place.

    Parameters
    ----------
    shape : of a batch.
    dtype : of the network.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._shape, self._dtype = shape, dtype
        item = dtype.itemsize
        self._bytes, self._code = item * prod(shape), CODES[dtype]
        self._stride = item * prod(shape[1:])

    def ready(self, x: Any) -> Array | None:
        """Return ``x`` as :meth:`rows` takes it; None if it needs a closer look."""
        return ready_array(x, self._shape, self._dtype)

    def rows(self, x: Array) -> Rows:
        """Return the rows of a batch."""
        return np.ndarray(self._bytes, BYTE, x), self._code, 0, self._stride


class JoinedInputs:
    """Batches of several inputs, copied into one block of memory.

    So compiled code looks whether all numbers are finite as it does for one input, and where the
    inputs are does not change from call to call.

    Parameters
    ----------
    shapes : of each input of a batch.
    machine : Machine
        For one thread.
    """

    def __init__(self, shapes: list[tuple[int, ...]], machine: Machine) -> None:
        dtype = machine.dtype
        self._shapes, self._dtype = shapes, dtype
        ends = list(accumulate(map(prod, shapes)))
        memory = np.empty(ends[-1], dtype)
        parts = np.split(memory, ends[:-1])
        self._parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        code, (first, *others) = CODES[dtype], self._parts
        self._rows = memory.view(BYTE), code, 0, first.strides[0]
        layouts = [(x.ctypes.data, x.nbytes, code, 0, x.strides[0]) for x in others]
        self._layouts = np.array(layouts).reshape(-1)
        self._words = machine.contexts[0, CONTEXT_SIZE:]  # those of the inputs after the first

    @staticmethod
    def can_hold(machine: Machine) -> bool:
        """Tell whether a machine's batches are small enough to be copied."""
        plan = machine.plan
        size = plan.batch * sum(map(prod, plan.input_shapes))
        return size * machine.dtype.itemsize <= MOST_BYTES

    def ready(self, x: Any) -> list[Array] | None:
        """Return the arrays as :meth:`rows` takes them; None if they need a closer look."""
        if type(x) not in (tuple, list) or len(x) != len(self._shapes):
            return None
        arrays = []
        for given, shape in zip(x, self._shapes, strict=True):
            array = ready_array(given, shape, self._dtype)
            if array is None:
                return None
            arrays.append(array)
        return arrays

    def rows(self, x: list[Array]) -> Rows:
        """Copy a batch; return the rows of the first input, with the memory of all."""
        for part, array in zip(self._parts, x, strict=True):
            part[...] = array
        self._words[...] = self._layouts  # other runs of the machine have written their own
        return self._rows


def inputs_of(shape: tuple[Any, ...], machine: Machine) -> OneInput | JoinedInputs:
    """Return what takes batches of this shape."""
    shapes = shapes_of(shape)
    return OneInput(shape, machine.dtype) if len(shapes) == 1 else JoinedInputs(shapes, machine)
