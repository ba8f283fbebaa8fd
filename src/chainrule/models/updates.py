"""Updates of a network's parameters outside of a training: a step, clipping, an average."""

from __future__ import annotations

from math import sqrt

from chainrule.engine.machine import Machine, PreparedRun
from chainrule.engine.update import UpdateOptions, UpdateProgram
from chainrule.kernels.context import Phase
from chainrule.operations.operation import Tensor
from chainrule.optimizers import OptimizerState
from chainrule.plan import Head, PlanBuilder, make_plan
from chainrule.utils.arrays import FloatArray


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
        self._step: tuple[OptimizerState, UpdateProgram | None, FloatArray, PreparedRun] | None
        self._step = None

    def _new_machine(self) -> Machine:
        nothing = Tensor((1,))
        dtype = self._params.dtype
        plan = make_plan(PlanBuilder(), nothing, [Head(nothing)], offsets={}, batch=1, dtype=dtype)
        return Machine(plan, dtype, self._backend)

    def apply(self, state: OptimizerState) -> None:
        """Update the parameters by the rule of ``state``."""
        prepared = self._step
        if (
            prepared is None
            or prepared[0] is not state
            or prepared[1] is not state.program
            or prepared[2] is not state.vectors
            or not self._machine.usable
        ):
            run = self._prepare(state.program, state)
            prepared = self._step = state, state.program, state.vectors, run
        prepared[3](1, lr=state.lr)

    def clip(self, norm: float, value: float) -> float:
        """Clip the gradients to a norm, or each to a value; 0 is no limit.

        Returns the norm that they had, if it is limited.
        """
        run = self._prepare(self._program(UpdateOptions(norm, value)))
        run(1)
        return sqrt(run.machine.squares.sum()) if norm else 0.0

    def average(self, average: FloatArray, decay: float) -> None:
        """Update an exponential moving average of the parameters."""
        self._prepare(self._program(UpdateOptions(average_decay=decay)), average=average)(1)

    def _program(self, options: UpdateOptions) -> UpdateProgram:
        return UpdateProgram(self._params.size, self._params.dtype, options)

    def _prepare(
        self,
        program: UpdateProgram | None,
        state: OptimizerState | None = None,
        average: FloatArray | None = None,
    ) -> PreparedRun:
        if not self._machine.usable:
            self._machine = self._new_machine()
        return self._machine.prepare_run(
            Phase.UPDATE,
            params=self._params,
            grads=self._grads,
            update=program,
            steps=None if state is None else state.steps,
            state=None if state is None else state.vectors,
            average=average,
        )
