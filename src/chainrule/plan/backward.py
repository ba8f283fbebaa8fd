"""The backward pass: reverse differentiation of the steps, as calls."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod

from chainrule.kernels import context
from chainrule.kernels.context import Flag
from chainrule.operations.operation import Function, Step, Tensor, function
from chainrule.plan.argument import number, partition, partition_start, rows_of, sums_of_chunks
from chainrule.plan.call import Call, Caller, gradient


class Backward:
    """Appends the calls of the backward pass, from the last step to the first.

    Parameters
    ----------
    caller : Caller
    steps : list of Step
    outputs : values whose gradients exist when it begins.
    inputs : values that no step computes: the gradients by them are computed on demand only.
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
            return  # the outputs' derivatives by this value are 0
        if step.operation.no_backward:
            raise NotImplementedError(step.operation.no_backward)
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
        summed = {
            name
            for operand in operation.operands
            for code in operation.backward_of(operand)
            for name in code.names
        }
        together: dict[tuple[Function, bool], list[str]] = {}
        for name, use in step.parameters.items():
            if not use.is_trained:
                continue
            adds = self._joins(use.name)
            if name in operation.gradients:
                together.setdefault((operation.gradients[name], adds), []).append(name)
            elif f"d_{name}" in summed:
                self.calls.append(self._sum_of_chunks(step, name, adds))
            else:
                raise ValueError(f"{operation.name} has no gradient by its {name!r}.")
        for (of_parameters, adds), names in together.items():
            if step.by_chunks:
                flags = Flag.VALUES | Flag.FOR_PARAMETERS | Flag.CHUNKED
                self.calls.append(self._caller.call(step, of_parameters, flags, wanted=names))
                self.calls += [self._sum_of_chunks(step, name, adds) for name in names]
            else:
                flags = Flag.PARAMETERS
                self.calls.append(
                    self._caller.call(step, of_parameters, flags, adds=adds, wanted=names)
                )

    def _flags(self, step: Step, tensor: Tensor, last: Function) -> int | None:
        """Return the flags of the calls that compute a gradient; None if it is not needed."""
        chunked = Flag.CHUNKED if takes_chunks(step, last) else 0
        # Gradients by its own parameters are computed by the same functions, or read their sums.
        for_own = step.trains and (chunked or step.sums)
        if tensor.buffer in self._serves_parameters or for_own:
            return Flag.VALUES | chunked
        if tensor.buffer in self._serves_inputs:
            return Flag.VALUES | Flag.FOR_INPUT | chunked
        return None

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
        self.calls += caller.in_a_row(step, functions, flags, adds=adds, buffers=buffers)
        if adds and not adds_itself:
            from chainrule.kernels.combine import accumulate  # loads Numba

            both = [
                rows_of(context.ARENA, buffer, tensor.shape, caller.item, ndim=1)
                for buffer in (target, sum_at)
            ]
            self.calls.append(Call(function(accumulate), tuple(both), flags & ~Flag.CHUNKED))

    def _joins(self, key: object) -> bool:
        """Tell whether a later step has written this gradient, so that this one adds to it."""
        joins = key in self._has_gradient
        self._has_gradient.add(key)
        return joins

    def _sum_of_chunks(self, step: Step, name: str, adds: bool) -> Call:
        """Return the call that adds up a parameter's gradients of the chunks of rows."""
        from chainrule.kernels.combine import add_up  # loads Numba

        use = step.parameters[name]
        size, start = prod(use.shape), self._caller.offsets[use.name]
        arguments = (
            sums_of_chunks(("chunks", step, name), (size,)),
            partition_start(start, size, (1,)),
            number(int(adds)),
            partition(context.GRADS, start, size, (1,)),
        )
        return Call(function(add_up), arguments, Flag.PARAMETERS)


def takes_chunks(step: Step, code: Function) -> bool:
    """Tell whether a backward function sums gradients of parameters over the rows that it gets."""
    if code in step.operation.gradients.values():
        return step.by_chunks
    return any(name[:2] == "d_" and name[2:] in step.parameters for name in code.names)
