"""Fusion: neighbouring instructions that can be one step become one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from chainrule.plan.builder import Instruction, Tensor
from chainrule.plan.instructions import Op


def fuse(instructions: list[Instruction], outputs: Sequence[Tensor]) -> list[Instruction]:
    """Fuse each activation into the linear instruction before it, where its backward allows.

    Only the activation's output is kept then, so its derivative must be computable from that: so it
    is for ReLU, Tanh and Sigmoid, not for GELU and SiLU. And nobody else may need what went in.
    """
    uses = Counter(x.buffer for step in instructions for x in step.operands)
    uses.update(x.buffer for x in outputs)
    fused: list[Instruction] = []
    for instruction in instructions:
        before = fused[-1] if fused else None
        if before is not None and _can_fuse(before, instruction, uses):
            fused[-1] = replace(
                before,
                activation=instruction.op,
                alpha=instruction.alpha,
                y=instruction.y,
                layers=before.layers + instruction.layers,
            )
        else:
            fused.append(instruction)
    return fused


def take_rescale(instructions: list[Instruction], outputs: Sequence[Tensor]) -> Instruction | None:
    """Take a Rescale off the head of the chain: the gather does it while it converts."""
    if not instructions or instructions[0].op != Op.RESCALE:
        return None
    x = instructions[0].x.buffer
    readers = [*outputs, *(x for step in instructions[1:] for x in step.operands)]
    return None if any(x is tensor.buffer for tensor in readers) else instructions.pop(0)


def _can_fuse(before: Instruction, instruction: Instruction, uses: Counter[object]) -> bool:
    return (
        before.op == Op.LINEAR
        and before.activation == Op.NONE
        and Op.NONE < instruction.op < Op.LINEAR
        and instruction.saves_output
        and instruction.x.buffer is before.y.buffer
        and uses[before.y.buffer] == 1
        and not before.adds
    )
