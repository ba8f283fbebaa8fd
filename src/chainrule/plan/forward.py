"""The forward pass as calls; neighbouring steps are fused if one function computes both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from chainrule.kernels.context import Flag
from chainrule.operations.operation import Step, Tensor
from chainrule.plan.call import Call, Caller, value
from chainrule.plan.fold import folded, follows


def calls_of_forward(
    caller: Caller,
    steps: Sequence[Step],
    outputs: Sequence[Tensor],
    batch: int,
    *,
    fuse: bool,
    backward: bool,
) -> tuple[list[Call], frozenset[int]]:
    """Return the calls, and the positions of the steps that are fused with the one before.

    Two steps are fused if nothing else reads the value between them: neither another step, nor the
    backward pass of these two. Without a backward pass, what scales and shifts columns is folded
    into the step before.
    """
    readers = Counter(operand.buffer for step in steps for operand in step.operands)
    readers.update(output.buffer for output in outputs)
    calls: list[Call] = []
    fused: set[int] = set()
    for i, step in enumerate(steps):
        if i in fused:
            continue
        last, flags = i, 0
        buffers: dict[str, Hashable] = {}
        found = folded(caller, steps[i:], readers, batch) if fuse and not backward else None
        if found is not None:
            step, last, buffers = found.step, i + found.behind, dict(found.buffers)
            calls += found.calls
            flags = Flag.BARRIER  # each thread has folded some rows
        fused.update(range(i + 1, last + 1))
        after = steps[last + 1] if last + 1 < len(steps) else None
        both = None
        if fuse and after is not None and follows(after, step.y) and not after.saved:
            both = step.operation.fuse.get(after.operation.name)
        if both is None or after is None or readers[step.y.buffer] > 1 or _reads_x(after):
            calls += caller.in_a_row(step, step.operation.forward_pass, flags, buffers=buffers)
        else:
            fused.add(last + 1)
            step = replace(step, numbers={**step.numbers, **both})
            buffers |= {"y": value(after.y)}
            calls += caller.in_a_row(step, step.operation.forward_pass, flags, buffers=buffers)
    return calls, frozenset(fused)


def calls_of_buffers(caller: Caller, steps: Sequence[Step]) -> list[Call]:
    """Return what updates the buffers, once the forward pass is over."""
    updates = [(step, step.operation.update_buffers) for step in steps if step.buffers]
    return [caller.call(step, update) for step, update in updates if update is not None]


def _reads_x(step: Step) -> bool:
    """Tell whether a step's backward reads its x."""
    return any("x" in function.names for function in step.operation.backward_of("x"))


def take_rescale(steps: list[Step], x: Tensor, outputs: Sequence[Tensor]) -> Step | None:
    """Remove the Rescale of an input from the steps and return it: the gather computes it.

    It must be the only one that reads the input.
    """
    readers = [step for step in steps if any(x.buffer is o.buffer for o in step.operands)]
    if [step.operation.name for step in readers] != ["rescale"]:
        return None
    if any(x.buffer is output.buffer for output in outputs):
        return None
    steps.remove(readers[0])
    return readers[0]
