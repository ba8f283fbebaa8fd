"""Forward differentiation: the tangent of a plan is a plan.

A tangent is the directional derivative of a value by parameters and inputs. Each operation's rule
appends the steps that compute its output's tangent from its operands' tangents. These are steps
like all others: they have a backward pass, which gives second derivatives (Pearlmutter, *Fast Exact
Multiplication by the Hessian*, 1994), and tangents themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.operations.operation import Step, Tensor
from chainrule.plan.builder import PlanBuilder


class Tangents:
    """The tangents of the values of a plan; missing ones are zero.

    Parameters
    ----------
    plan : where the tangents' steps are appended.
    parameters_change : whether the parameters change along the direction.
    seeds : pairs of a value, such as the input, and its tangent.
    """

    def __init__(
        self,
        plan: PlanBuilder,
        *,
        parameters_change: bool,
        seeds: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:
        self._plan, self.parameters_change = plan, parameters_change
        self._tangents = {value.buffer: tangent.buffer for value, tangent in seeds}

    def of(self, value: Tensor) -> Tensor | None:
        """Return a value's tangent; None if it does not change."""
        buffer = self._tangents.get(value.buffer)
        return None if buffer is None else Tensor(value.shape, buffer)

    def append(self, steps: Sequence[Step]) -> None:
        """Append the tangents of these steps, which are in the plan."""
        for step in steps:
            if step.layers:  # a copy has none
                self._plan.layer = step.layers[0]
            tangent = self._tangent(step)
            if tangent is not None:
                self._tangents[step.y.buffer] = tangent.buffer

    def _tangent(self, step: Step) -> Tensor | None:
        operation = step.operation
        if operation.tangent is not None:
            return operation.tangent(self._plan, step, self)
        changes = any(self.of(operand) is not None for operand in step.operands)
        if changes or (self.parameters_change and step.trains):
            hint = " Give it a tangent, or linear=True." if operation.forward.label else ""
            raise NotImplementedError(
                f"{operation.name} has no tangent: only its first derivative by reverse "
                f"differentiation is known.{hint}"
            )
        return None
