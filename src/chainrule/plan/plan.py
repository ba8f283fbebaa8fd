"""A plan: everything that the interpreter needs to know of a network, a batch size and a dtype."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.engine.instructions import INSTRUCTION, LAYOUT, Op
from chainrule.kernels.blocks import DIRECT_BYTES, NARROW_BYTES, PACKED_BYTES, is_direct
from chainrule.plan.arena import ALIGNMENT, Lifetime, arrange, stack
from chainrule.plan.builder import Instruction, PlanBuilder, Tensor
from chainrule.plan.fusion import fuse, take_rescale
from chainrule.plan.team import choose_members, share_out, work_of


@dataclass(frozen=True)
class Plan:
    """A network as data.

    Attributes
    ----------
    instructions : structured array of dtype ``INSTRUCTION``, one row a step.
    loss : one more row: the loss, or ``Op.NONE``.
    layout : one row of dtype ``LAYOUT``: where input, output, target and weights lie.
    arena_size : elements of the arena.
    shares : member i of the team owns the parameters from ``shares[i]`` to ``shares[i + 1]``.
    input_shape, output_shape : shapes without the batch.
    layers : for each instruction, the positions of the layers that it carries out.
    gathered : the positions of the layers that the gather carries out.
    """

    instructions: np.ndarray
    loss: np.ndarray
    layout: np.ndarray
    arena_size: int
    shares: np.ndarray
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    layers: tuple[tuple[int, ...], ...]
    gathered: tuple[int, ...]

    @cached_property
    def batch(self) -> int:
        """The largest number of rows that one pass takes."""
        return int(self.layout["batch"][0])

    @cached_property
    def members(self) -> int:
        """How many threads share the work."""
        return int(self.layout["members"][0])


def make_plan(
    builder: PlanBuilder,
    input_tensor: Tensor,
    output_tensor: Tensor,
    *,
    offsets: dict[str, int],
    batch: int,
    dtype: np.dtype,
    loss: tuple[Op, float] | None = None,
    backward: bool = True,
    steps: int = 1,
    threads: int = 1,
    keep: bool = False,
) -> Plan:
    """Lay out what ``builder`` holds.

    Parameters
    ----------
    builder : the lowered layers.
    input_tensor, output_tensor : where the chain begins and ends.
    offsets : name of a parameter -> its offset in the parameter vector.
    batch : rows of the largest batch.
    dtype : float32 or float64.
    loss : the loss's operation and its number, if the plan ends in one.
    backward : whether the plan will be walked backward; if not, values live shorter.
    steps : how many batches one call will do, or more.
    threads : how many threads may share the work; the plan takes fewer where they would not pay.
    keep : whether each layer stays a step of its own, and every value and gradient stays in the
        arena until the next run, for somebody to read.
    """
    instructions = builder.instructions if keep else fuse(builder.instructions)
    work = work_of(instructions, batch, backward=backward)
    members = choose_members(work, batch, steps, threads)
    rescale = None if keep else take_rescale(instructions)
    first = input_tensor if rescale is None else rescale.y
    op, alpha = loss or (Op.NONE, 0.0)
    target_size = 0 if op in (Op.NONE, Op.CROSS_ENTROPY) else output_tensor.size
    item = np.dtype(dtype).itemsize

    lifetimes = _lifetimes(instructions, first, output_tensor, target_size, batch, backward)
    scratch_bytes = _scratch_bytes(instructions, batch, item, backward)
    scratch = -(-scratch_bytes // ALIGNMENT) * ALIGNMENT // item
    end = 2 * len(instructions) + 1
    lifetimes["scratch"] = Lifetime(scratch * members, 0, end)
    in_bytes = {
        key: Lifetime(life.size * item, life.first, life.last) for key, life in lifetimes.items()
    }
    # Members of a team need not be at the same step at the same time.
    addresses, size = stack(in_bytes) if members > 1 or keep else arrange(in_bytes)
    place = {key: address // item for key, address in addresses.items()}

    loss_row = np.zeros(1, INSTRUCTION)
    loss_row["op"], loss_row["alpha"] = op, alpha
    layout = _layout(place, first, output_tensor, rescale)
    layout["target_size"], layout["batch"] = target_size, batch
    layout["members"], layout["scratch_size"] = members, scratch
    return Plan(
        _table(instructions, place, offsets),
        loss_row,
        layout,
        -(-size // item),
        share_out(instructions, offsets, batch, members),
        input_tensor.shape,
        output_tensor.shape,
        tuple(tuple(step.layers) for step in instructions),
        () if rescale is None else tuple(rescale.layers),
    )


def _table(
    instructions: list[Instruction], place: dict[Hashable, int], offsets: dict[str, int]
) -> np.ndarray:
    """Return the instructions as rows of numbers."""
    table = np.zeros(len(instructions), INSTRUCTION)
    for row, step in zip(table, instructions, strict=True):
        row["op"], row["activation"], row["repeat"] = step.op, step.activation, step.repeat
        row["inputs"], row["outputs"] = step.inputs, step.outputs
        row["alpha"], row["beta"] = step.alpha, step.beta
        x, y = step.x.buffer, step.y.buffer
        row["x"], row["y"] = place[x], place[y]
        row["dx"], row["dy"] = place.get(("d", x), 0), place.get(("d", y), 0)
        row["saved"] = row["y"] if step.saves_output else row["x"]
        row["z"] = place.get(("z", y), row["y"])
        row["dz"] = place.get(("dz", y), row["dy"])
        row["weight"] = offsets[step.weight] if step.weight else -1
        row["bias"] = offsets[step.bias] if step.bias else -1
    return table


def _layout(
    place: dict[Hashable, int],
    input_tensor: Tensor,
    output_tensor: Tensor,
    rescale: Instruction | None,
) -> np.ndarray:
    """Return where the arena holds what enters and leaves, and how the gather rescales."""
    layout = np.zeros(1, LAYOUT)
    x, y = input_tensor.buffer, output_tensor.buffer
    layout["input"], layout["output"] = place[x], place[y]
    layout["d_input"], layout["d_output"] = place.get(("d", x), 0), place.get(("d", y), 0)
    layout["input_size"], layout["output_size"] = input_tensor.size, output_tensor.size
    # Adding -0.0 leaves every number as it is; adding 0.0 would lose the sign of a zero.
    layout["scale"] = 1.0 if rescale is None else rescale.alpha
    layout["offset"] = -0.0 if rescale is None else rescale.beta
    layout["target"], layout["weight"] = place.get("target", 0), place["weight"]
    layout["scratch"] = place["scratch"]
    return layout


def _lifetimes(
    instructions: list[Instruction],
    input_tensor: Tensor,
    output_tensor: Tensor,
    target_size: int,
    batch: int,
    backward: bool,
) -> dict[Hashable, Lifetime]:
    """Return what must exist from when to when, in elements.

    Step i goes forward at moment i; the loss comes at moment n; step i goes backward at 2 n - i.
    """
    n = len(instructions)
    sizes = {input_tensor.buffer: input_tensor.size * batch}
    born: dict[object, int] = {input_tensor.buffer: 0}
    used: dict[object, int] = {input_tensor.buffer: 0}
    for moment, step in enumerate(instructions):
        sizes[step.y.buffer] = step.y.size * batch
        born[step.y.buffer] = moment
        used[step.x.buffer] = used[step.y.buffer] = moment
    used[output_tensor.buffer] = n

    lifetimes: dict[Hashable, Lifetime] = {
        "target": Lifetime(target_size * batch, 0, n),
        "weight": Lifetime(batch, 0, n),
    }
    for buffer, size in sizes.items():
        if backward:
            lifetimes[buffer] = Lifetime(size, born[buffer], 2 * n - born[buffer])
            # A gradient exists from where its value was used last to where that was made;
            # the input's stays for the caller.
            end = 2 * n + 1 if buffer is input_tensor.buffer else 2 * n - born[buffer]
            lifetimes["d", buffer] = Lifetime(size, 2 * n - used[buffer], end)
        else:
            lifetimes[buffer] = Lifetime(size, born[buffer], used[buffer])
    for moment, step in enumerate(instructions):
        size = step.y.size * batch
        if step.activation not in (Op.NONE, Op.RELU):  # ReLU is applied while sums are stored
            lifetimes["z", step.y.buffer] = Lifetime(size, moment, moment)
        if step.activation != Op.NONE and backward:
            lifetimes["dz", step.y.buffer] = Lifetime(size, 2 * n - moment, 2 * n - moment)
    return lifetimes


def _scratch_bytes(
    instructions: list[Instruction], batch: int, itemsize: int, backward: bool
) -> int:
    """Return the room that one thread needs for products: for a transpose, or for blocks."""
    most = 0
    for step in instructions:
        if step.op == Op.LINEAR:
            row = step.outputs * itemsize  # of what is transposed
            row = row if backward else min(row, NARROW_BYTES)
            most = max(most, min(step.inputs * row, DIRECT_BYTES))
            rights = [(step.inputs, step.outputs)]
            rights += [(batch * step.repeat, step.outputs)] if backward else []
            if not all(is_direct(*right, itemsize) for right in rights):
                most = max(most, PACKED_BYTES)
    return most
