"""Neighbouring steps as one, where an operation computes both: backward too.

What is fused in the forward pass alone (``forward.py``) keeps its own backward function, which is a
pass over memory. Here, both passes are shorter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from chainrule.operations.operation import Step, Tensor
from chainrule.plan.fold import follows


def merged(steps: Sequence[Step], outputs: Sequence[Tensor]) -> list[Step]:
    """Return the steps; two of them are one where nothing else reads the value between them."""
    readers = Counter(operand.buffer for step in steps for operand in step.operands)
    readers.update(output.buffer for output in outputs)
    order: list[Step] = []
    for step in steps:
        both = None
        if order and follows(step, order[-1].y) and readers[step.x.buffer] == 1:
            both = _both(order[-1], step)
        if both is None:
            order.append(step)
        else:
            order[-1] = both
    return order


def _both(step: Step, after: Step) -> Step | None:
    """Return one step that does what two do; None if there is no such operation."""
    layers = [*step.layers, *after.layers]
    numbers = step.operation.fuse.get(after.operation.name)
    taken = {name for code in step.operation.backward_of("x") for name in code.names}
    if numbers and numbers.keys() <= taken:
        y = Tensor(step.y.shape, after.y.buffer)  # the other one may be of another shape
        return replace(step, y=y, layers=layers, numbers={**step.numbers, **numbers})
    operation = step.operation.merge(step, after) if step.operation.merge else None
    if operation is None:
        return None
    has_own = after.parameters or after.saved or after.sums
    assert not has_own  # the step for both would lose them
    x = Tensor(after.x.shape, step.x.buffer)
    numbers = {**step.numbers, **after.numbers}
    return replace(
        step, operation=operation, operands=(x,), y=after.y, layers=layers, numbers=numbers
    )
