"""A plan: everything that the interpreter needs to know of a network, a batch size and a dtype."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from chainrule.kernels.blocks import DIRECT_BYTES, NARROW_BYTES, PACKED_BYTES, is_direct
from chainrule.plan.arena import ALIGNMENT, Lifetime, arrange, stack
from chainrule.plan.builder import Instruction, PlanBuilder, Shape, Tensor
from chainrule.plan.functions import Function
from chainrule.plan.fusion import fuse, take_rescale
from chainrule.plan.instructions import HEAD, INSTRUCTION, LAYOUT, UNASSIGNED, Op
from chainrule.plan.needed import needed
from chainrule.plan.threads import choose_threads, chunk_of, share_out, work_of

# The fields that hold a place in the arena; what needs none, has none.
PLACES = (
    *("x", "other", "y", "dx", "d_other", "dy", "saved", "z", "dz"),
    *("partial", "partial_other", "parts", "kept"),
)
PLACES_OF_A_HEAD = "output", "d_output", "target", "terms"


class ForeignLoss(NamedTuple):
    """A user's own loss."""

    function: Function
    target_size: int  # columns of targets; 0 if it takes labels


class Head(NamedTuple):
    """An output of the network, and the loss that it goes into, if any."""

    output: Tensor
    loss: Op = Op.NONE
    number: float = 0.0  # of the loss
    share: float = 1.0  # the loss's weight in the sum of all
    foreign: ForeignLoss | None = None

    @property
    def target_size(self) -> int:
        """Columns of targets; 0 for labels, and without a loss."""
        if self.foreign is not None:
            return self.foreign.target_size
        return 0 if self.loss in (Op.NONE, Op.CROSS_ENTROPY) else self.output.size

    @property
    def takes_labels(self) -> bool:
        """Whether the loss compares the output with labels."""
        return self.loss != Op.NONE and self.target_size == 0

    @property
    def functions(self) -> dict[str, Function]:
        """The user's own, by the field that gets its address."""
        return {} if self.foreign is None else {"forward": self.foreign.function}

    @property
    def terms(self) -> int:
        """How many terms of the loss a row has: one, or one for each element of the output."""
        if self.loss == Op.NONE:
            return 0
        return 1 if self.loss in (Op.CROSS_ENTROPY, Op.FOREIGN_LOSS) else self.output.size


class _Sums(NamedTuple):
    """Whether a step, on the way back, adds to a gradient that a later one has begun."""

    of_x: bool
    of_other: bool
    of_weight: bool
    of_bias: bool


@dataclass(frozen=True)
class Plan:
    """A network as data.

    Attributes
    ----------
    instructions : structured array of dtype ``INSTRUCTION``, one row a step.
    heads : structured array of dtype ``HEAD``, one row an output.
    layout : one row of dtype ``LAYOUT``: where the input, weights and scratch room lie.
    arena_size : elements of the arena.
    shares : where the parameters begin and end that a thread owns: in the first row those of a
        thread that is alone, in the second one those of each of several, one after the other.
    input_shape : the input's shape without the batch.
    output_shapes : the same of each output.
    seeds : the shape of each seed, and where it lies in the arena.
    backward : whether there is room for a backward pass.
    layers : for each instruction, the positions of the layers that it carries out.
    gathered : the positions of the layers that the gather carries out.
    step_functions, loss_functions : for each instruction, and for each output, a user's own
        functions by the fields that get their addresses.
    """

    instructions: np.ndarray
    heads: np.ndarray
    layout: np.ndarray
    arena_size: int
    shares: np.ndarray
    input_shape: Shape
    output_shapes: tuple[Shape, ...]
    seeds: tuple[tuple[int, Shape], ...]
    backward: bool
    layers: tuple[tuple[int, ...], ...]
    gathered: tuple[int, ...]
    step_functions: tuple[dict[str, Function], ...]
    loss_functions: tuple[dict[str, Function], ...]

    @property
    def output_shape(self) -> Shape:
        """The shape of the only output, or of the first."""
        return self.output_shapes[0]

    @property
    def output_columns(self) -> int:
        """Elements a row of all outputs."""
        return int(self.heads["output_size"].sum())

    def split_outputs(self, columns: np.ndarray) -> list[np.ndarray]:
        """Return each output, of a matrix that holds them side by side."""
        if len(self.heads) == 1:
            return [columns.reshape(len(columns), *self.output_shape)]
        ends = np.cumsum(self.heads["output_size"])[:-1]
        return [
            part.copy().reshape(len(columns), *shape)
            for part, shape in zip(np.split(columns, ends, axis=1), self.output_shapes, strict=True)
        ]

    @cached_property
    def batch(self) -> int:
        """The largest number of rows that one pass takes."""
        return int(self.layout["batch"][0])

    @cached_property
    def drops(self) -> bool:
        """Whether some step leaves elements out at random."""
        # A member of an enumeration is asked in Python what kind of array it is, and NumPy drops
        # what a signal handler raises there, such as KeyboardInterrupt.
        return bool((self.instructions["op"] == int(Op.DROPOUT)).any())

    @cached_property
    def threads(self) -> int:
        """How many threads may share the work."""
        return int(self.layout["threads"][0])


def make_plan(
    builder: PlanBuilder,
    input_tensor: Tensor,
    heads: Sequence[Head],
    *,
    offsets: dict[str, int],
    batch: int,
    dtype: np.dtype,
    seeds: Sequence[Tensor] = (),
    backward: bool = True,
    steps: int = 1,
    threads: int = 1,
    keep: bool = False,
) -> Plan:
    """Lay out what ``builder`` holds.

    Parameters
    ----------
    builder : the lowered layers, in an order in which each value is made before it is used.
    input_tensor : where the paths begin.
    heads : where they end, each in a tensor of its own.
    seeds : values that no step makes: whoever runs the plan writes them into the arena.
    offsets : name of a parameter -> its offset in the parameter vector.
    batch : rows of the largest batch.
    dtype : float32 or float64.
    backward : whether the plan will be walked backward; if not, values live shorter.
    steps : how many batches one call will do, or more.
    threads : how many threads may share the work; the plan takes fewer where they would not pay.
    keep : whether each layer stays a step of its own, and every value and gradient stays in the
        arena until the next run, for somebody to read.
    """
    outputs = [head.output for head in heads]
    instructions = needed(builder.instructions, outputs)
    instructions = instructions if keep else fuse(instructions, outputs)
    work = work_of(instructions, batch, backward=backward)
    own = [*(step.functions for step in instructions), *(head.functions for head in heads)]
    if not all(f.can_compile for functions in own for f in functions.values()):
        threads = 1  # Python code, which need not be safe to run in several
    chunk = chunk_of(instructions, batch)
    threads = choose_threads(work, -(-batch // chunk), steps, threads)
    rescale = None if keep else take_rescale(instructions, outputs)
    first = input_tensor if rescale is None else rescale.y
    item = np.dtype(dtype).itemsize

    sums = _find_sums(instructions, outputs)
    lifetimes = _lifetimes(instructions, sums, first, seeds, heads, batch, chunk, backward)
    scratch_bytes = _scratch_bytes(instructions, batch, item, backward)
    scratch = -(-scratch_bytes // ALIGNMENT) * ALIGNMENT // item
    end = 2 * len(instructions) + 1
    lifetimes["scratch"] = Lifetime(scratch * threads, 0, end)
    in_bytes = {
        key: Lifetime(life.size * item, life.first, life.last) for key, life in lifetimes.items()
    }
    # Several threads need not be at the same step at the same time.
    addresses, size = stack(in_bytes) if threads > 1 or keep else arrange(in_bytes)
    place = {key: address // item for key, address in addresses.items()}

    layout = _layout(place, first, rescale, backward)
    layout["target_columns"] = sum(head.target_size for head in heads)
    layout["label_columns"] = sum(head.takes_labels for head in heads)
    layout["batch"], layout["threads"], layout["chunk"] = batch, threads, chunk
    layout["scratch_size"] = scratch
    return Plan(
        _table(instructions, sums, first, seeds, place, offsets, backward),
        _heads(heads, place, backward),
        layout,
        -(-size // item),
        share_out(instructions, offsets, batch, threads),
        input_tensor.shape,
        tuple(output.shape for output in outputs),
        tuple((place[seed.buffer], seed.shape) for seed in seeds),
        backward,
        tuple(tuple(step.layers) for step in instructions),
        () if rescale is None else tuple(rescale.layers),
        tuple(_functions_of(step, backward) for step in instructions),
        tuple(head.functions for head in heads),
    )


def _functions_of(step: Instruction, backward: bool) -> dict[str, Function]:
    """Return a user's own functions that will be called: each takes a while to compile."""
    return {
        name: function for name, function in step.functions.items() if backward or name == "forward"
    }


def _table(
    instructions: list[Instruction],
    sums: list[_Sums],
    input_tensor: Tensor,
    seeds: Sequence[Tensor],
    place: dict[Hashable, int],
    offsets: dict[str, int],
    backward: bool,
) -> np.ndarray:
    """Return the instructions as rows of numbers."""
    table = _unassigned(len(instructions), INSTRUCTION, PLACES)
    inputs = {tensor.buffer for tensor in (input_tensor, *seeds)}
    for row, step, adds in zip(table, instructions, sums, strict=True):
        row["op"], row["activation"], row["repeat"] = step.op, step.activation, step.repeat
        row["inputs"], row["outputs"] = step.inputs, step.outputs
        row["alpha"], row["beta"] = step.alpha, step.beta
        x, y = step.x.buffer, step.y.buffer
        row["x"], row["y"] = place[x], place[y]
        row["saved"] = row["y"] if step.saves_output else row["x"]
        row["z"] = place[("z", y) if _has_sums_of_its_own(step) else y]
        if backward:
            row["dx"], row["dy"] = place["d", x], place["d", y]
            row["dz"] = place["d" if step.activation == Op.NONE else "dz", y]
            if adds.of_x and step.op != Op.LINEAR:
                row["partial"] = place["partial", step]
        if step.other is not None:
            other = step.other.buffer
            row["other"] = place[other]
            if backward:
                row["d_other"] = place["d", other]
            if backward and adds.of_other:
                row["partial_other"] = place["partial other", step]
        row["weight"] = offsets[step.weight] if step.weight else -1
        row["bias"] = offsets[step.bias] if step.bias else -1
        row["column"], row["moving"], row["adds_y"] = step.column, step.moving, step.adds
        row["parameters"], row["kept_size"] = step.parameters, step.kept_size
        if step.op == Op.FOREIGN and backward:
            row["parts"] = place["parts", step]
        if step.kept_size:
            row["kept"] = place["kept", step]
        row["order"], row["number"] = step.order, step.number
        row["reads_input"] = x in inputs
        row["adds_dx"], row["adds_d_other"], row["adds_dw"], row["adds_db"] = adds
    return table


def _find_sums(instructions: list[Instruction], outputs: list[Tensor]) -> list[_Sums]:
    """Find out where gradients are sums, since paths or the uses of a weight meet there."""
    begun: set[object] = {output.buffer for output in outputs}

    def joins(key: object) -> bool:
        is_begun = key in begun
        begun.add(key)
        return is_begun

    sums = []
    for step in reversed(instructions):  # the other operand comes first, as in the interpreter
        of_other = step.other is not None and joins(step.other.buffer)
        names = (None, None) if step.moving else (step.weight, step.bias)
        of_weight, of_bias = (name is not None and joins(name) for name in names)
        sums.append(_Sums(joins(step.x.buffer), of_other, of_weight, of_bias))
    return sums[::-1]


def _unassigned(rows: int, dtype: np.dtype, places: tuple[str, ...]) -> np.ndarray:
    """Return rows of zeros in which no place is assigned yet."""
    table = np.zeros(rows, dtype)
    for name in places:
        table[name] = UNASSIGNED
    return table


def _heads(heads: Sequence[Head], place: dict[Hashable, int], backward: bool) -> np.ndarray:
    """Return the outputs as rows of numbers."""
    table = _unassigned(len(heads), HEAD, PLACES_OF_A_HEAD)
    column = targets = labels = 0
    for i, (row, head) in enumerate(zip(table, heads, strict=True)):
        buffer = head.output.buffer
        row["op"], row["alpha"], row["share"] = head.loss, head.number, head.share
        row["output"], row["output_size"], row["column"] = place[buffer], head.output.size, column
        if backward or head.loss != Op.NONE:
            row["d_output"] = place["d", buffer]
        row["target"], row["target_size"] = place["target", i], head.target_size
        row["terms"], row["terms_size"] = place["terms", i], head.terms
        row["target_column"], row["label_column"] = targets, labels
        column += head.output.size
        targets += head.target_size
        labels += head.takes_labels
    return table


def _layout(
    place: dict[Hashable, int],
    input_tensor: Tensor,
    rescale: Instruction | None,
    backward: bool,
) -> np.ndarray:
    """Return where the arena holds what enters, and how the gather rescales it."""
    layout = np.zeros(1, LAYOUT)
    x = input_tensor.buffer
    layout["input"] = place[x]
    layout["d_input"] = place["d", x] if backward else UNASSIGNED
    layout["input_size"] = input_tensor.size
    # Adding -0.0 leaves every number as it is; adding 0.0 would lose the sign of a zero.
    layout["scale"] = 1.0 if rescale is None else rescale.alpha
    layout["offset"] = -0.0 if rescale is None else rescale.beta
    layout["weight"], layout["scratch"] = place["weight"], place["scratch"]
    return layout


def _lifetimes(
    instructions: list[Instruction],
    sums: list[_Sums],
    input_tensor: Tensor,
    seeds: Sequence[Tensor],
    heads: Sequence[Head],
    batch: int,
    chunk: int,
    backward: bool,
) -> dict[Hashable, Lifetime]:
    """Return what must exist from when to when, in elements.

    Step i goes forward at moment i; the loss comes at moment n; step i goes backward at 2 n - i.
    """
    n = len(instructions)
    sizes: dict[object, int] = {input_tensor.buffer: input_tensor.size * batch}
    born: dict[object, int] = {input_tensor.buffer: 0}
    used: dict[object, int] = {input_tensor.buffer: 0}
    for seed in seeds:
        sizes[seed.buffer], born[seed.buffer], used[seed.buffer] = seed.size * batch, 0, 0
    kept = {seed.buffer for seed in seeds}
    for moment, step in enumerate(instructions):
        sizes[step.y.buffer] = step.y.size * batch
        born.setdefault(step.y.buffer, moment)  # several steps may fill one
        for tensor in (*step.operands, step.y):
            used[tensor.buffer] = moment
    lifetimes: dict[Hashable, Lifetime] = {"weight": Lifetime(batch, 0, n)}
    for i, head in enumerate(heads):
        used[head.output.buffer] = n
        lifetimes["target", i] = Lifetime(head.target_size * batch, 0, n)
        lifetimes["terms", i] = Lifetime(head.terms * batch, n, n)
        if head.loss != Op.NONE and not backward:  # a loss is computed with its gradient
            lifetimes["d", head.output.buffer] = Lifetime(head.output.size * batch, n, n)
    for buffer, size in sizes.items():
        if buffer in kept:  # so that the next run finds it there
            lifetimes[buffer] = Lifetime(size, 0, 2 * n + 1)
        elif backward:
            lifetimes[buffer] = Lifetime(size, born[buffer], 2 * n - born[buffer])
        else:
            lifetimes[buffer] = Lifetime(size, born[buffer], used[buffer])
        if backward:
            # A gradient exists from where its value was used last to where that was made;
            # the input's stays for the caller.
            end = 2 * n + 1 if buffer is input_tensor.buffer else 2 * n - born[buffer]
            lifetimes["d", buffer] = Lifetime(size, 2 * n - used[buffer], end)
    for moment, (step, adds) in enumerate(zip(instructions, sums, strict=True)):
        size, back = step.y.size * batch, 2 * n - moment
        if _has_sums_of_its_own(step):
            lifetimes["z", step.y.buffer] = Lifetime(size, moment, moment)
        if step.activation != Op.NONE and backward:
            lifetimes["dz", step.y.buffer] = Lifetime(size, back, back)
        is_linear = step.op == Op.LINEAR  # it adds products to a sum while it makes them
        if backward and adds.of_x and not is_linear:
            lifetimes["partial", step] = Lifetime(step.x.size * batch, back, back)
        if step.kept_size:
            last = back if backward else moment
            lifetimes["kept", step] = Lifetime(step.kept_size * batch, moment, last)
        if step.op == Op.FOREIGN and backward:
            lifetimes["parts", step] = Lifetime(step.parameters * -(-batch // chunk), back, back)
        if backward and adds.of_other:
            lifetimes["partial other", step] = Lifetime(step.x.size * batch, back, back)
    return lifetimes


def _has_sums_of_its_own(step: Instruction) -> bool:
    """Tell whether a linear step's sums have a place of their own, before an activation."""
    return step.activation not in (Op.NONE, Op.RELU)  # ReLU is applied while sums are stored


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
