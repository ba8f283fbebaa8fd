"""Dead-code elimination: steps that no output depends on are left out."""

from collections.abc import Sequence

from chainrule.operations.operation import Step, Tensor


def needed(steps: Sequence[Step], outputs: Sequence[Tensor]) -> list[Step]:
    """Return the steps that some output depends on.

    Layers leave none over, but tangents do. Run backward, such a one would hand on a gradient that
    nobody has written.
    """
    wanted = {output.buffer for output in outputs}
    kept = []
    for step in reversed(steps):
        if step.y.buffer in wanted:
            wanted.update(operand.buffer for operand in step.operands)
            kept.append(step)
    return kept[::-1]
