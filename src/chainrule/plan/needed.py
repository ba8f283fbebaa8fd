"""Dead-code elimination: steps that no output depends on are left out."""

from collections.abc import Sequence

from chainrule.operations.operation import Step, Tensor


def needed(steps: Sequence[Step], outputs: Sequence[Tensor]) -> list[Step]:
    """Return the steps that some output depends on.

    All steps of layers are needed, but not all of tangents. In the backward pass, such a step would
    pass on a gradient that no step has written.
    """
    wanted = {output.buffer for output in outputs}
    kept = []
    for step in reversed(steps):
        if step.y.buffer in wanted:
            wanted.update(operand.buffer for operand in step.operands)
            kept.append(step)
    return kept[::-1]
