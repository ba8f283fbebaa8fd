"""The backward pass: reverse differentiation of the steps, as calls."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from chainrule.kernels import context
from chainrule.kernels.argument import Kind, Rows
from chainrule.kernels.context import Flag
from chainrule.operations.operation import Function, Step, Tensor, function
from chainrule.plan.argument import Argument, number, rows_of, share, share_start
from chainrule.plan.call import Call, Caller, first_offset, gradient, parameters_of


class Backward:
    """Appends the calls of the backward pass, from the last step to the first.

    Parameters
    ----------
    caller : Caller
    steps : list of Step
    outputs : values whose gradients are there when it begins.
    inputs : values that no step makes: gradients by them are wanted only on demand.
    """

    def __init__(
        self,
        caller: Caller,
        steps: Sequence[Step],
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
    ) -> None:
        self._caller = caller
        self._has_gradient: set[object] = {output.buffer for output in outputs}
        self._serves_parameters: set[object] = set()
        self._serves_inputs = {tensor.buffer for tensor in inputs}
        for step in steps:
            operands = {operand.buffer for operand in step.operands}
            if step.trains or operands & self._serves_parameters:
                self._serves_parameters.add(step.y.buffer)
            if operands & self._serves_inputs:
                self._serves_inputs.add(step.y.buffer)
        self.calls: list[Call] = []
        for step in reversed(steps):
            self._append(step)

    def reaches(self, tensor: Tensor) -> bool:
        """Tell whether some output depends on a value, so that there is a gradient by it."""
        return tensor.buffer in self._has_gradient

    def _append(self, step: Step) -> None:
        if step.y.buffer not in self._has_gradient:
            return  # no output's gradient comes here: the value is read where the derivative is 0
        operands = dict(zip(step.operation.operands, step.operands, strict=True))
        for name, tensor in reversed(operands.items()):
            functions = step.operation.backward_of(name)
            flags = self._flags(step, tensor, functions[-1]) if functions else None
            if flags is not None:
                self._append_operand(step, name, tensor, functions, flags)
        if step.trains:
            self._append_parameters(step)

    def _append_parameters(self, step: Step) -> None:
        operation = step.operation
        known = {*operation.gradients} or {
            name.removeprefix("d_")
            for operand in operation.operands
            for code in operation.backward_of(operand)
            for name in code.names
            if name.startswith("d_")
        }
        if unknown := step.parameters.keys() - known:
            raise ValueError(f"{operation.name} has no gradient by its {min(unknown)!r}.")
        if not operation.gradients:
            self.calls.append(self._sum_of_chunks(step))
        for name, of_parameter in operation.gradients.items():
            if name in step.parameters:
                adds = self._joins(step.parameters[name].name)
                self.calls.append(self._caller.call(step, of_parameter, Flag.PARAMETERS, adds=adds))

    def _flags(self, step: Step, tensor: Tensor, last: Function) -> int | None:
        """Return the flags of the calls that compute a gradient; None if nobody needs it."""
        if takes_chunks(step, last):
            return Flag.VALUES | Flag.CHUNKED
        if tensor.buffer in self._serves_parameters:
            return Flag.VALUES
        return Flag.VALUES | Flag.FOR_INPUT if tensor.buffer in self._serves_inputs else None

    def _append_operand(
        self, step: Step, name: str, tensor: Tensor, functions: tuple[Function, ...], flags: int
    ) -> None:
        caller, adds = self._caller, self._joins(tensor.buffer)
        written = "dx" if name == "x" else f"d_{name}"
        adds_itself = "adds" in functions[-1].names and "adds" not in step.parameters
        sum_at, target = gradient(tensor), gradient(tensor)
        if adds and not adds_itself:
            target = ("partial", name, step)
        buffers: dict[str, Hashable] = {"temporary": ("temporary", name, step), written: target}
        for code in functions:
            self.calls.append(caller.call(step, code, flags, adds=adds, buffers=buffers))
        if adds and not adds_itself:
            from chainrule.kernels.combine import accumulate  # loads Numba

            both = [
                rows_of(context.ARENA, buffer, tensor.shape, caller.item, ndim=1)
                for buffer in (target, sum_at)
            ]
            self.calls.append(Call(function(accumulate), tuple(both), flags & ~Flag.CHUNKED))

    def _joins(self, key: object) -> bool:
        """Tell whether a later step has written to this gradient, so that others add to it."""
        joins = key in self._has_gradient
        self._has_gradient.add(key)
        return joins

    def _sum_of_chunks(self, step: Step) -> Call:
        """Return the call that adds up what each chunk of rows has given."""
        from chainrule.kernels.combine import add_up  # loads Numba

        size, start = parameters_of(step), first_offset(step, self._caller.offsets)
        names = [use.name for use in step.parameters.values()]
        adds = self._joins(names[0])
        arguments = (
            Argument(Kind(Rows.CHUNKS, 2), context.ARENA, ("chunks", step), (size,)),
            share_start(start, size, (1,)),
            number(int(adds)),
            share(context.GRADS, start, size, (1,)),
        )
        return Call(function(add_up), arguments, Flag.PARAMETERS)


def takes_chunks(step: Step, code: Function) -> bool:
    """Tell whether a backward function adds up gradients of parameters over the rows it gets."""
    return (
        any(name[:2] == "d_" and name[2:] in step.parameters for name in code.names)
        and code not in step.operation.gradients.values()
    )
