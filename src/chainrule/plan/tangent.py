"""Forward differentiation: the tangent of a plan is a plan.

A tangent says how fast a value changes while parameters and inputs move along a direction. Each
instruction's rule appends the instructions that compute its output's tangent from those of its
operands. What is appended are instructions like all others: they can be walked backward, which
gives second derivatives (Pearlmutter, *Fast Exact Multiplication by the Hessian*, 1994), and have
tangents themselves.
"""

from collections.abc import Sequence

from chainrule.plan.builder import Instruction, PlanBuilder, Tensor
from chainrule.plan.instructions import Op

MOST_ORDER = 2  # of a derivative in a plan: walked backward, it needs the next one


class Tangents:
    """The tangents of the values of a plan; those that are not there are zero.

    Parameters
    ----------
    plan : where the tangents' instructions are appended.
    moving : whether the parameters move along the direction.
    seeds : pairs of a value, such as the input, and its tangent.
    """

    def __init__(
        self, plan: PlanBuilder, *, moving: bool, seeds: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> None:
        self._plan, self._moving = plan, moving
        self._tangents = {value.buffer: tangent.buffer for value, tangent in seeds}

    def of(self, value: Tensor) -> Tensor | None:
        """Return a value's tangent; None if it does not move."""
        buffer = self._tangents.get(value.buffer)
        return None if buffer is None else Tensor(value.shape, buffer)

    def append(self, instructions: Sequence[Instruction]) -> None:
        """Append the tangents of these instructions, which stand in the plan."""
        for step in instructions:
            if step.layers:  # a copy belongs to none
                self._plan.layer = step.layers[0]
            tangent = self._tangent(step)
            if tangent is not None:
                self._tangents[step.y.buffer] = tangent.buffer

    def _tangent(self, step: Instruction) -> Tensor | None:
        plan, dx = self._plan, self.of(step.x)
        d_other = None if step.other is None else self.of(step.other)
        if step.op == Op.LINEAR:
            return self._of_linear(step, dx)
        if step.op == Op.CONCATENATE:
            return self._of_columns(step, dx)
        if dx is None and d_other is None:
            return None
        if step.op == Op.MULTIPLY:
            assert step.other is not None
            return self._sum(
                None if dx is None else plan.multiply(dx, step.other),
                None if d_other is None else plan.multiply(d_other, step.x),
            )
        if step.op == Op.DERIVATIVE:
            return self._of_derivative(step, dx, d_other)
        if step.op == Op.ADD:
            return self._sum(dx, d_other)
        assert dx is not None  # as it is the only operand
        if step.op == Op.FOREIGN:
            raise NotImplementedError(
                f"{step.functions['forward'].label} has no tangent: of a layer of one's own, only "
                "the first derivative by reverse differentiation is known."
            )
        if step.op == Op.RESCALE:
            return plan.rescale(dx, step.alpha)
        if step.op == Op.SUM_ALONG_ROWS:
            return plan.rowwise(Op.SUM_ALONG_ROWS, dx)
        if step.op == Op.SOFTMAX:  # y * (dx - sum(y * dx))
            share = plan.multiply(dx, step.y)
            mean = plan.rescale(plan.rowwise(Op.SUM_ALONG_ROWS, share), -1.0)
            return plan.add(share, plan.multiply(mean, step.y))
        if step.op == Op.LOG_SOFTMAX:  # dx - sum(softmax(x) * dx)
            share = plan.multiply(dx, plan.rowwise(Op.SOFTMAX, step.x))
            return plan.add(dx, plan.rescale(plan.rowwise(Op.SUM_ALONG_ROWS, share), -1.0))
        return plan.derivative(step, dx)

    def _sum(self, first: Tensor | None, second: Tensor | None) -> Tensor | None:
        if first is None or second is None:
            return first or second
        return self._plan.add(first, second)

    def _of_linear(self, step: Instruction, dx: Tensor | None) -> Tensor | None:
        """``d(x @ w + b) = x @ dw + db + dx @ w``; a direction itself does not move."""
        dy = self.of(step.y) if step.adds else None
        if self._moving and not step.moving:
            dy = self._plan.again(step, step.x, dy, moving=True, adds=dy is not None)
        if dx is not None:
            dy = self._plan.again(step, dx, dy, bias=None, adds=dy is not None)
        return dy

    def _of_derivative(
        self, step: Instruction, dx: Tensor | None, d_other: Tensor | None
    ) -> Tensor | None:
        """``d(x * g(other)) = dx * g(other) + x * g'(other) * d_other``."""
        plan, by_x, by_other = self._plan, None, None
        if dx is not None:
            by_x = plan.again(step, dx)
        if d_other is not None:
            if step.order == MOST_ORDER:
                raise NotImplementedError("a network's third tangents are not there.")
            x = plan.multiply(step.x, d_other)
            by_other = plan.again(step, x, order=step.order + 1)
        return self._sum(by_x, by_other)

    def _of_columns(self, step: Instruction, dx: Tensor | None) -> Tensor:
        """Fill the same columns of the tangent as the step does of y, with zeros if need be."""
        if dx is None:
            dx = self._plan.rescale(step.x, 0.0)
        return self._plan.again(step, dx, self.of(step.y))
