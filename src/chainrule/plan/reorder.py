"""Elementwise steps behind those that leave fewer numbers, where both orders give the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from chainrule.operations.operation import Step, Tensor
from chainrule.plan.fold import follows


def reordered(steps: Sequence[Step], outputs: Sequence[Tensor]) -> list[Step]:
    """Return the steps, pairs of which are exchanged so that the elementwise one computes less.

    The ReLU of the largest number of a window is the largest ReLU, and has the same gradient. The
    value between both must have no other reader.
    """
    readers = Counter(operand.buffer for step in steps for operand in step.operands)
    readers.update(output.buffer for output in outputs)
    order = list(steps)
    for i, (step, after) in enumerate(pairwise(steps)):
        commutes = step.operation.name in after.operation.commutes_with
        if commutes and follows(after, step.y) and readers[step.y.buffer] == 1:
            between = Tensor(after.y.shape)
            order[i] = replace(after, operands=(Tensor(after.x.shape, step.x.buffer),), y=between)
            order[i + 1] = replace(step, operands=(between,), y=after.y)
    return order
