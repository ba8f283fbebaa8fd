"""Dead-code elimination: removes steps on which no output depends."""

from collections.abc import Sequence

from chainrule.operations.operation import Step, Tensor


def live_steps(steps: Sequence[Step], outputs: Sequence[Tensor]) -> list[Step]:
    """Return the steps on which an output depends.

    Steps of layers are live, but not all steps of tangents. In the backward pass, a dead step would
    read a gradient that no step has written.
    """
    live = {output.buffer for output in outputs}
    kept = []
    for step in reversed(steps):
        if step.y.buffer in live:
            live.update(operand.buffer for operand in step.operands)
            kept.append(step)
    return kept[::-1]
