"""Updates of a network's parameters outside of a training: a step, clipping, an average."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from chainrule.engine.batch_run import BatchRun
from chainrule.engine.machine import Machine, PreparedRun
from chainrule.engine.records import Vectors
from chainrule.engine.update import UpdateOptions, UpdateProgram
from chainrule.kernels.context import Phase
from chainrule.operations.operation import Tensor
from chainrule.optimizers import OptimizerState
from chainrule.plan import Head, PlanBuilder, make_plan
from chainrule.utils.arrays import FloatArray


class UpdateRun(NamedTuple):
    """A run with an optimizer's step, and what it was prepared for."""

    run: PreparedRun
    vectors: Vectors
    state: OptimizerState
    program: UpdateProgram | None
    state_vectors: FloatArray

    @classmethod
    def prepare(
        cls,
        machine: Machine,
        phases: int,
        params: FloatArray,
        grads: FloatArray,
        state: OptimizerState,
    ) -> UpdateRun:
        """Return the run of ``phases``, an update among them."""
        run = machine.prepare_run(phases, **state.arguments)
        vectors = machine.vectors(params, grads=grads)
        return cls(run, vectors, state, state.program, state.vectors)

    def is_for(self, machine: Machine, state: OptimizerState) -> bool:
        """Tell whether it can be used again: new hyperparameters may need another program."""
        return (
            self.run.machine is machine
            and self.state is state
            and self.program is state.program
            and self.state_vectors is state.vectors
        )


class Updates:
    """Updates the parameters by a machine that does nothing else: its plan is empty.

    Parameters
    ----------
    params, grads : vectors of the network.
    backend : "numba" or "numpy"
    """

    def __init__(self, params: FloatArray, grads: FloatArray, backend: str) -> None:
        self._params, self._grads, self._backend = params, grads, backend
        self._machine = self._new_machine()
        # The latest step, and the same for loops in Python.
        self._step: tuple[UpdateRun, BatchRun | None] | None = None

    def _new_machine(self) -> Machine:
        nothing = Tensor((1,))
        dtype = self._params.dtype
        plan = make_plan(
            PlanBuilder(), [nothing], [Head(nothing)], offsets={}, batch=1, dtype=dtype
        )
        return Machine(plan, dtype, self._backend)

    def apply(self, state: OptimizerState) -> None:
        """Update the parameters by the rule of ``state``."""
        step, again = self._step or (None, None)
        if step is None or not step.is_for(self._usable, state):
            vectors = self._params, self._grads
            step = UpdateRun.prepare(self._usable, Phase.UPDATE, *vectors, state)
            again = BatchRun(step.run, (1, 1)) if BatchRun.can_use(self._machine) else None
            self._step = step, again  # at once, for Ctrl-C may come in between
        if again is None:
            step.run(1, step.vectors, lr=state.lr)
        else:
            again(step.vectors, lr=state.lr)

    def clip(self, norm: float, value: float) -> float:
        """Clip the gradients to a norm, or each to a value; 0 is no limit.

        Returns the norm that they had, if it is limited.
        """
        run = self._prepare(UpdateOptions(norm, value))
        run(1, run.machine.vectors(self._params, grads=self._grads))
        return sqrt(run.update.squares.sum()) if norm else 0.0

    def average(self, average: FloatArray, decay: float) -> None:
        """Update an exponential moving average of the parameters."""
        run = self._prepare(UpdateOptions(average_decay=decay))
        run(1, run.machine.vectors(self._params, average=average))

    def _prepare(self, options: UpdateOptions) -> PreparedRun:
        """Return the run that only does what ``options`` say."""
        program = UpdateProgram(self._params.size, self._params.dtype, options)
        return self._usable.prepare_run(Phase.UPDATE, update=program)

    @property
    def _usable(self) -> Machine:
        """The machine, or another one after an exception in a run of it."""
        if not self._machine.usable:
            self._machine = self._new_machine()
        return self._machine
