"""Fusion: neighbouring instructions that can be one step become one."""

from chainrule.engine.instructions import Op
from chainrule.plan.builder import Instruction


def fuse(instructions: list[Instruction]) -> list[Instruction]:
    """Fuse each activation into the linear instruction before it, where its backward allows.

    Only the activation's output is kept then, so its derivative must be computable from that: so it
    is for ReLU, Tanh and Sigmoid, not for GELU and SiLU.
    """
    fused: list[Instruction] = []
    for instruction in instructions:
        before = fused[-1] if fused else None
        if before is not None and _can_fuse(before, instruction):
            before.activation = instruction.op
            before.alpha = instruction.alpha
            before.y = instruction.y
            before.layers += instruction.layers
        else:
            fused.append(instruction)
    return fused


def take_rescale(instructions: list[Instruction]) -> Instruction | None:
    """Take a Rescale off the head of the chain: the gather does it while it converts."""
    if instructions and instructions[0].op == Op.RESCALE:
        return instructions.pop(0)
    return None


def _can_fuse(before: Instruction, instruction: Instruction) -> bool:
    return (
        before.op == Op.LINEAR
        and before.activation == Op.NONE
        and Op.NONE < instruction.op < Op.LINEAR
        and instruction.saves_output
        and instruction.x.buffer is before.y.buffer
    )
