"""Runs for loops in Python that compute a small batch a million times."""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar

import numpy as np

from chainrule.engine.machine import NO_MASKS, Machine, PreparedRun
from chainrule.engine.records import NOTHING, Array, Integers, Vectors
from chainrule.engine.rows import BYTE, CODES
from chainrule.kernels.context import NOT_FINITE, Phase
from chainrule.utils.arrays import ready_array

ONE_BATCH, FIRST_THREAD = (0, 1), 0
MOST_SHAPES = 8  # of batches that are prepared for

T = TypeVar("T")


class ByShape(dict[tuple[int, ...], T]):
    """What is prepared for batches, by their shape; all is forgotten when there are too many."""

    def keep(self, shape: tuple[int, ...], made: T) -> None:
        """Keep what is made for a shape."""
        if len(self) >= MOST_SHAPES:
            self.clear()
        self[shape] = made


class BatchRun:
    """A run of single batches of one shape, of the network's dtype, by one thread.

    It takes a third of the time of a :class:`PreparedRun`, which takes anything: all that does not
    change from call to call is put together once, and compiled code looks whether the data is
    finite. For machines that :meth:`can_use`.

    Parameters
    ----------
    run : PreparedRun
    shape : of a batch.
    checks_vectors : bool
        Whether to look at the parameters and their direction, too.

    Attributes
    ----------
    machine : Machine
    losses : array of shape (1, 2)
        The weight and the loss of the latest batch.
    """

    def __init__(
        self, run: PreparedRun, shape: tuple[int, ...], *, checks_vectors: bool = False
    ) -> None:
        machine = self.machine = run.machine
        self.losses = machine.losses_for(1)
        self._shape, self._dtype = shape, machine.dtype
        phases, *others = run.prepared
        checks = Phase.CHECK | (Phase.CHECK_VECTORS if checks_vectors else 0)
        self._prepared = phases | checks, *others
        item = self._dtype.itemsize
        self._bytes, self._code = item * prod(shape), CODES[self._dtype]
        self._stride = item * prod(shape[1:])
        self._nothing = NOTHING[self._dtype]
        self._order, _ = machine.epochs(shape[0])

    @staticmethod
    def can_use(machine: Machine) -> bool:
        """Tell whether there is one input, and one thread does all work, none of it in Python."""
        machine.prepare()  # before that, it is not known
        plan = machine.plan
        return plan.threads == 1 and len(plan.inputs) == 1 and not machine.needs_arrays

    def ready(self, x: Any) -> Array | None:
        """Return ``x`` as a call takes it; None if it is no such batch, or needs a closer look."""
        return ready_array(x, self._shape, self._dtype)

    def __call__(
        self,
        vectors: Vectors,
        x: Array | None = None,
        targets: Array | None = None,
        labels: Integers | None = None,
        weights: Array | None = None,
        outputs: Array | None = None,
        *,
        lr: float = 0.0,
        masks: tuple[int, int] = NO_MASKS,
    ) -> int:
        """Do it for a batch that is ``ready``; return 1, or 0 if the loss is not finite.

        Or NOT_FINITE: what it looks at holds NaN or infinity, and nothing was done.
        """
        machine, nothing = self.machine, self._nothing
        if not machine.usable:
            raise machine.busy_error()
        machine.usable = False
        # Tuples in the order of the records' fields, as making a named tuple takes longer.
        arguments = (
            *self._prepared,
            vectors,
            (
                nothing.data.inputs
                if x is None
                else (np.ndarray(self._bytes, BYTE, x), self._code, 0, self._stride),
                nothing.vector if targets is None else targets.reshape(-1),
                nothing.labels if labels is None else labels,
                nothing.vector if weights is None else weights,
            ),
            (nothing.matrix if outputs is None else outputs, self.losses),
            self._order,
            (nothing.doubles, lr),
            masks,
        )
        done = machine.interpret(*arguments, machine.alone, ONE_BATCH, FIRST_THREAD)
        if done < 0 and done != NOT_FINITE:
            raise machine.find_error(arguments)
        machine.usable = True
        return done
