"""Runs for loops in Python that compute a small batch a million times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chainrule.engine.batch_inputs import JoinedInputs, inputs_of
from chainrule.engine.machine import NO_MASKS, Machine, PreparedRun
from chainrule.engine.records import NOTHING, Array, Integers, Vectors
from chainrule.engine.rows import Rows
from chainrule.kernels.context import NOT_FINITE, Phase

ONE_BATCH, FIRST_THREAD = (0, 1), 0
MOST_SHAPES = 8  # of batches that are prepared for

T = TypeVar("T")


class ByShape(dict[tuple[Any, ...] | None, T]):
    """What is prepared for batches, by their shape; all is forgotten when there are too many."""

    def keep(self, shape: tuple[Any, ...], made: T) -> None:
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
    shape : of a batch; ``(rows,)`` for runs that get none.
    checks_vectors : bool
        Whether to look at the parameters and their direction, too.

    Attributes
    ----------
    machine : Machine
    rows : of a batch.
    ready : function of a batch
        It returns the batch as a call takes it; None if it has another shape, or needs a closer
        look.
    losses : array of shape (1, 2)
        The weight and the loss of the latest batch.
    """

    def __init__(
        self, run: PreparedRun, shape: tuple[Any, ...], *, checks_vectors: bool = False
    ) -> None:
        machine = self.machine = run.machine
        self.losses = machine.losses_for(1)
        self.rows, inputs = shape[0], inputs_of(shape, machine)
        self.ready: Callable[[Any], Any] = inputs.ready
        self._rows_of: Callable[[Any], Rows] = inputs.rows
        phases, *others = run.prepared
        checks = Phase.CHECK | (Phase.CHECK_VECTORS if checks_vectors else 0)
        self._prepared = phases | checks, *others
        self._nothing = NOTHING[machine.dtype]
        self._order, _ = machine.epochs(self.rows)

    @staticmethod
    def can_use(machine: Machine) -> bool:
        """Tell whether one thread does all work, none of it in Python.

        Batches of several inputs must be small enough to be copied.
        """
        machine.prepare()  # before that, it is not known
        if machine.plan.threads > 1 or machine.needs_arrays:
            return False
        return len(machine.plan.inputs) == 1 or JoinedInputs.can_hold(machine)

    def __call__(
        self,
        vectors: Vectors,
        x: Any = None,
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
                nothing.data.inputs if x is None else self._rows_of(x),
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
