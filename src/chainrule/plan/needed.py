"""What an output needs: the other instructions of a plan are left out."""

from collections.abc import Sequence

from chainrule.plan.builder import Instruction, Tensor


def needed(instructions: Sequence[Instruction], outputs: Sequence[Tensor]) -> list[Instruction]:
    """Return the instructions that some output depends on.

    Layers leave none over, but tangents do. Walked backward, such a one would hand on a gradient
    that nobody has written.
    """
    wanted = {output.buffer for output in outputs}
    kept = []
    for step in reversed(instructions):
        if step.y.buffer in wanted:
            wanted.update(operand.buffer for operand in step.operands)
            kept.append(step)
    return kept[::-1]
