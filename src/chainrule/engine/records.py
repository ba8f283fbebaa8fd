"""The records that the interpreter's ``run`` takes: named tuples of arrays, without Numba.

None of their fields is None: what a run does not need is an empty array of the right dtype, as
compiled code knows one type of each. :class:`chainrule.engine.machine.Machine` makes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.rows import Rows, as_rows
from chainrule.utils.arrays import FLOATS
from chainrule.utils.inputs import ArrayTuple, arrays_of

Array = NDArray[Any]
Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]


class Tables(NamedTuple):
    """A plan as the interpreter reads it.

    Attributes
    ----------
    program : a row for each call of a function.
    sections : where each section of the program begins.
    layout : the largest numbers of rows and of chunks in a batch; columns of all targets, and
        outputs with labels; where threads' workspaces begin, and how far they are apart, in bytes.
    partitions : the boundaries of the parameters of a single thread; those of all threads.
    """

    program: Integers
    sections: Integers
    layout: Integers
    partitions: Integers


class Workspace(NamedTuple):
    """The memory that a run computes in.

    Attributes
    ----------
    arena : values and gradients.
    contexts : a row for each thread, see :mod:`chainrule.kernels.context`.
    numbers : the same memory as floats.
    """

    arena: Array
    contexts: Integers
    numbers: Doubles


class Update(NamedTuple):
    """An update of the parameters.

    Attributes
    ----------
    program : a row for each call of a function.
    steps : the number of the optimizer's steps so far.
    state : the optimizer's vectors, a row each.
    squares : a buffer for the sums of squares that a norm of the gradients is made of.
    """

    program: Integers
    steps: Integers
    state: Array
    squares: Doubles


class Vectors(NamedTuple):
    """Vectors over all parameters.

    Attributes
    ----------
    params : the parameters.
    direction : in which they change, for a plan with tangents.
    grads : the gradients; empty, if the backward pass need not compute them.
    average : a moving average of the parameters.
    """

    params: Array
    direction: Array
    grads: Array
    average: Array


class Data(NamedTuple):
    """The rows that a run reads.

    Attributes
    ----------
    inputs : see :mod:`chainrule.engine.rows`.
    targets, labels : those of one output after the other.
    weights : of the rows.
    """

    inputs: Rows
    targets: Array
    labels: Integers
    weights: Array


class Results(NamedTuple):
    """What a run returns.

    Attributes
    ----------
    outputs : a row for each row of the data.
    losses : the weight and the loss of each batch.
    """

    outputs: Array
    losses: Doubles


class DataOfInputs(NamedTuple):
    """The rows that a run with several inputs reads.

    Attributes
    ----------
    data : what compiled code gets, with the rows of the first input.
    others : the rows of each other input, which the machine writes into its threads' contexts.
    """

    data: Data
    others: tuple[Rows, ...]


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


class Nothing:
    """The empty arrays of a dtype, for what a run does not need."""

    def __init__(self, dtype: np.dtype) -> None:
        self.vector = _read_only(np.empty(0, dtype))
        self.matrix = _read_only(np.empty((0, 0), dtype))
        self.labels = _read_only(np.empty(0, np.int64))
        self.doubles = _read_only(np.empty(0))
        self.data = Data(as_rows(np.empty((1, 0), dtype)), self.vector, self.labels, self.vector)
        self.vectors = Vectors(self.vector, self.vector, self.vector, self.vector)
        self.results = Results(self.matrix, _read_only(np.empty((0, 2))))


NOTHING = {dtype: Nothing(dtype) for dtype in map(np.dtype, FLOATS)}


def make_data(
    dtype: np.dtype,
    inputs: Array | ArrayTuple | None = None,
    targets: Array | None = None,
    labels: Integers | None = None,
    weights: Array | None = None,
) -> Data | DataOfInputs:
    """Return the record of arrays as ``chainrule.utils.arrays`` has validated them.

    For several outputs, targets and labels are vectors, one output after the other.
    """
    nothing = NOTHING[dtype]
    first, *others = (None,) if inputs is None else arrays_of(inputs)
    data = Data(
        nothing.data.inputs if first is None else as_rows(first),
        nothing.vector if targets is None else targets.reshape(-1),
        nothing.labels if labels is None else labels,
        nothing.vector if weights is None else weights,
    )
    return DataOfInputs(data, tuple(map(as_rows, others))) if others else data
