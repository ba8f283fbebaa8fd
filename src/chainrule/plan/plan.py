"""A plan: the program and memory layout for a network, a batch size and a dtype."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.kernels.argument import Rows
from chainrule.kernels.context import DIRECTION, MASK_KEY, Flag, Section
from chainrule.operations.operation import Shape, Step, Tensor
from chainrule.plan.arena import ALIGNMENT
from chainrule.plan.argument import Constants
from chainrule.plan.backward import Backward
from chainrule.plan.builder import PlanBuilder
from chainrule.plan.call import COLUMN_WORKSPACE, Call, Caller, gradient, value
from chainrule.plan.data import Gathered, calls_of_gather, calls_of_output
from chainrule.plan.forward import calls_of_buffers, calls_of_forward
from chainrule.plan.live_steps import live_steps
from chainrule.plan.loss import Head, calls_of_loss, calls_of_loss_sum
from chainrule.plan.memory import Memory
from chainrule.plan.merge import merged
from chainrule.plan.reorder import reordered
from chainrule.plan.tables import Table, tables_of, uses_of_tables
from chainrule.plan.threads import (
    choose_threads,
    chunks_of,
    functions_of,
    partition_parameters,
    work_of,
)
from chainrule.utils.inputs import one_or_tuple


class Place(NamedTuple):
    """The position of rows in the arena, in elements, and the shape of each row."""

    start: int
    shape: Shape


@dataclass(frozen=True)
class Plan:
    """A network as data.

    Attributes
    ----------
    steps : the network's steps, in order.
    heads : its outputs, each with its loss, if any.
    program : all calls, section by section.
    table : the calls as rows of int64s, without their functions.
    sections : where each section begins in the program, and where the last one ends.
    places : of the buffers in the arena, in bytes.
    arena_bytes : of the arena.
    item : bytes of a number.
    scratch : where the threads' workspaces begin, and their distance, in bytes.
    partitions : where the parameters begin and end that a thread owns: in the first row those of a
        thread that is alone, in the second one those of each of several, one after the other.
    inputs : the values that the gather writes, one for each of the network's inputs.
    input_shapes : of the network's inputs, without the batch.
    seeds : values that the caller writes into the arena.
    gathered : the positions of the layers that are fused into the gather.
    backward : whether there is a backward pass.
    batch : the largest number of rows of a batch.
    threads : the largest number of threads.
    work : an estimate of the multiply-adds of a batch.
    chunks : the largest number of chunks of rows, which are never divided among threads.
    fused : the positions of the steps that are fused with the step before them.
    tables : the large parameters of which each batch takes some rows.
    """

    steps: tuple[Step, ...]
    heads: tuple[Head, ...]
    program: tuple[Call, ...]
    table: NDArray[np.int64]
    sections: NDArray[np.int64]
    places: Mapping[Hashable, int]
    arena_bytes: int
    item: int
    scratch: tuple[int, int]
    partitions: NDArray[np.int64]
    inputs: tuple[Tensor, ...]
    input_shapes: tuple[Shape, ...]
    seeds: tuple[Tensor, ...]
    gathered: tuple[int, ...]
    backward: bool
    batch: int
    threads: int
    work: int
    chunks: int
    fused: frozenset[int]
    tables: tuple[Table, ...] = ()

    @cached_property
    def output_shapes(self) -> tuple[Shape, ...]:
        """The shape of each output."""
        return tuple(head.output.shape for head in self.heads)

    @property
    def output_shape(self) -> Shape:
        """The shape of the only output, or of the first."""
        return self.output_shapes[0]

    @cached_property
    def output_columns(self) -> int:
        """The number of elements of all outputs in a row."""
        return sum(head.output.size for head in self.heads)

    @cached_property
    def target_columns(self) -> int:
        """The number of elements of all targets in a row."""
        return sum(head.target_size for head in self.heads)

    @cached_property
    def label_columns(self) -> int:
        """The number of outputs whose loss takes labels."""
        return sum(head.takes_labels for head in self.heads)

    @property
    def input_shape(self) -> Shape:
        """The shape of the only input, or a tuple of those of several."""
        shape: Shape = one_or_tuple(self.input_shapes)
        return shape

    @cached_property
    def draws_masks(self) -> bool:
        """Whether some step draws a mask at random, as dropout does."""
        kinds = (kind for call in self.program for kind in call.kinds)
        return any(kind.rows == Rows.WORD and kind.word == MASK_KEY for kind in kinds)

    @cached_property
    def only_trains(self) -> bool:
        """Whether some step computes something else where the network predicts."""
        return self.draws_masks or any(step.sums for step in self.steps)

    @cached_property
    def reads_direction(self) -> bool:
        """Whether it reads how parameters change."""
        return any(a.base == DIRECTION for call in self.program for a in call.arguments)

    def split_outputs(self, columns: np.ndarray) -> list[np.ndarray]:
        """Return the outputs from a matrix with the columns of all."""
        if len(self.heads) == 1:
            shape = len(columns), *self.output_shapes[0]
            return [columns if columns.shape == shape else columns.reshape(shape)]
        ends = list(accumulate(head.output.size for head in self.heads))[:-1]
        return [
            part.copy().reshape(len(columns), *shape)
            for part, shape in zip(np.split(columns, ends, axis=1), self.output_shapes, strict=True)
        ]

    def value_of(self, tensor: Tensor) -> Place:
        """Return where a value is."""
        return Place(self.places[value(tensor)] // self.item, tensor.shape)

    def gradient_of(self, tensor: Tensor) -> Place:
        """Return where the gradient by a value is."""
        return Place(self.places[gradient(tensor)] // self.item, tensor.shape)

    @cached_property
    def constants(self) -> list[tuple[int, tuple[float, ...]]]:
        """The constants that a machine writes into the arena: position in elements, and values."""
        places = self.places.items()
        return [(at // self.item, key.values) for key, at in places if isinstance(key, Constants)]

    @cached_property
    def named(self) -> dict[tuple[str, int], Place]:
        """The places of the inputs, outputs and seeds, and of the gradients by them."""
        tensors = {("input", i): x for i, x in enumerate(self.inputs)}
        tensors |= {("output", i): head.output for i, head in enumerate(self.heads)}
        tensors |= {("seed", i): seed for i, seed in enumerate(self.seeds)}
        found = {}
        for (name, i), tensor in tensors.items():
            shape = self.input_shapes[i] if name == "input" else tensor.shape
            for prefix, key in (("", value(tensor)), ("d_", gradient(tensor))):
                if key in self.places:
                    place = Place(self.places[key] // self.item, shape)
                    found[prefix + name, i] = place
        return found


def make_plan(
    builder: PlanBuilder,
    inputs: Sequence[Tensor],
    heads: Sequence[Head],
    *,
    offsets: Mapping[str, int],
    batch: int,
    dtype: np.dtype,
    seeds: Sequence[Tensor] = (),
    backward: bool = True,
    steps: int = 1,
    threads: int = 1,
    retain: bool = False,
) -> Plan:
    """Return the plan of the builder's steps.

    Parameters
    ----------
    builder : the lowered layers, in topological order.
    inputs : those of the network.
    heads : the outputs, each a different value.
    seeds : values that no step computes: the caller writes them into the arena.
    offsets : name of a parameter -> its offset in the parameter vector; and of buffers in theirs.
    batch : rows of the largest batch.
    dtype : float32 or float64.
    backward : whether there will be a backward pass; without one, values are needed for less time.
    steps : the least number of batches in one call.
    threads : the largest number of threads; the plan may reduce it by its estimate of the work.
    retain : whether nothing is fused, and every value and gradient stays in the arena until the
        next run, to be read.
    """
    outputs = [head.output for head in heads]
    order = live_steps(builder.steps, outputs)
    if not retain:
        order = _optimized(order, outputs, backward)
    chunks = chunks_of(order, batch)
    most = threads if _can_compile(order, heads) else 1  # Python code need not be thread-safe
    work = work_of(order, batch, backward=backward)
    threads = choose_threads(work, chunks, steps, most)
    gathered = [Gathered.of(x, order, outputs, rescaled=not retain) for x in inputs]
    item = np.dtype(dtype).itemsize
    scratch = _scratch_bytes(order, batch, item, backward)

    caller = Caller(offsets, item, scratch // item)
    forward, fused = calls_of_forward(
        caller, order, outputs, batch, fuse=not retain, backward=backward
    )
    calls: list[list[Call]] = [[] for _ in range(Section.COUNT)]
    calls[Section.GATHER], calls[Section.FORWARD] = calls_of_gather(caller, gathered), forward
    calls[Section.LOSS] = calls_of_loss(caller, heads)
    calls[Section.LOSS_SUM] = calls_of_loss_sum(caller, heads)
    calls[Section.BUFFERS] = calls_of_buffers(caller, order)
    calls[Section.OUTPUT] = calls_of_output(caller, outputs)
    if backward:
        calls[Section.BACKWARD] = _calls_of_backward(caller, order, outputs, gathered, seeds)

    memory = Memory(item, batch, chunks, threads)
    first = [x.value for x in gathered]
    uses = uses_of_tables(order, batch) if backward else {}
    lasting = [*seeds, *chain.from_iterable(uses.values())]
    end = _reserve(memory, calls, first, lasting, outputs, batch * item, backward)
    places, size = memory.places(end, share=not retain)
    scratch_at = -(-size // ALIGNMENT) * ALIGNMENT
    program = tuple(chain.from_iterable(calls))
    return Plan(
        tuple(order),
        tuple(heads),
        program,
        table_of(program, places),
        np.array([0, *accumulate(len(section) for section in calls)], np.int64),
        places,
        scratch_at + scratch * threads,
        item,
        (scratch_at, scratch),
        partition_parameters(order, offsets, batch, threads),
        tuple(first),
        tuple(x.shape for x in inputs),
        tuple(seeds),
        tuple(layer for x in gathered for layer in x.layers),
        backward,
        batch,
        threads,
        work,
        chunks,
        fused,
        tables_of(uses, offsets, places),
    )


def _optimized(order: list[Step], outputs: Sequence[Tensor], backward: bool) -> list[Step]:
    """Return steps that do the same in fewer passes over memory.

    Gradients of single samples can no longer be computed then.
    """
    order = merged(reordered(order, outputs), outputs)
    return [_by_chunks(step) for step in order] if backward else order


def _by_chunks(step: Step) -> Step:
    """Return the step as one whose gradients are computed by chunks of rows, where that pays."""
    prefers = step.operation.prefers_chunks
    return step if prefers is None or not step.trains else replace(step, by_chunks=prefers(step))


def _can_compile(order: Sequence[Step], heads: Sequence[Head]) -> bool:
    """Tell whether all functions can be compiled."""
    own = [f for step in order for f in functions_of(step)]
    own += [head.loss.forward for head in heads if head.loss is not None]
    return all(f.can_compile for f in own)


def table_of(program: Sequence[Call], places: Mapping[Hashable, int]) -> NDArray[np.int64]:
    """Return calls as rows of int64s, as long as the longest."""
    rows = [call.encode(places) for call in program]
    table = np.zeros((len(rows), max(map(len, rows), default=1)), np.int64)
    for row, words in zip(table, rows, strict=True):
        row[: len(words)] = words
    return table


def _reserve(
    memory: Memory,
    calls: list[list[Call]],
    inputs: Sequence[Tensor],
    lasting: Sequence[Tensor],
    outputs: Sequence[Tensor],
    row_bytes: int,
    backward: bool,
) -> int:
    """Record the lifetimes of all buffers; return the last moment.

    The caller reads the outputs after the forward pass, and may write the gradients by them before
    the backward pass; it reads the gradients by the inputs after it, but not those that are 0
    because no output depends on the input. Some values last all the time: seeds stay for the next
    run, and an update reads which rows of tables the batch takes.
    """
    moment = memory.touch(calls[Section.GATHER], 0)
    between = memory.touch(calls[Section.FORWARD], moment)
    # The buffers of these sections all live at one moment, together with the outputs.
    for section in (Section.LOSS, Section.LOSS_SUM, Section.BUFFERS, Section.OUTPUT):
        for call in calls[section]:
            memory.touch_call(call, between)
    for output in outputs:
        memory.need(value(output), output.size * row_bytes, between, between)
        if backward:
            memory.need(gradient(output), output.size * row_bytes, between, between)
    end = memory.touch(calls[Section.BACKWARD], memory.after(between))
    for tensor in lasting:
        memory.need(value(tensor), tensor.size * row_bytes, 0, end)
    for x in inputs:
        if gradient(x) in memory:
            memory.need(gradient(x), x.size * row_bytes, end, end)
    return end


def _calls_of_backward(
    caller: Caller,
    order: Sequence[Step],
    outputs: Sequence[Tensor],
    gathered: Sequence[Gathered],
    seeds: Sequence[Tensor],
) -> list[Call]:
    """Return the calls of the backward pass, down to the inputs."""
    backward_pass = Backward(caller, order, outputs, [*(x.value for x in gathered), *seeds])
    calls = backward_pass.calls
    for x in gathered:
        if x.rescale is not None and backward_pass.reaches(x.value):
            calls += _call_of_rescaled_gradient(caller, x.value, x.rescale)
    return calls


def _call_of_rescaled_gradient(caller: Caller, x: Tensor, rescale: Step) -> list[Call]:
    """Return the call that computes an input's gradient from that of the gathered value."""
    if rescale.numbers["scale"] == 1.0:
        return []
    step = Step(rescale.operation, (x,), x, [], numbers=rescale.numbers)
    (code,) = rescale.operation.backward_of("x")
    return [caller.call(step, code, Flag.VALUES | Flag.FOR_INPUT)]


def _scratch_bytes(steps: Sequence[Step], batch: int, item: int, backward: bool) -> int:
    """Return the bytes of a thread's workspace, in whole cache lines."""
    most = 0
    for step in steps:
        if step.operation.scratch_bytes is not None:
            most = max(most, step.operation.scratch_bytes(step, batch, item, backward))
        if step.operation.by_column is not None:
            most = max(most, len(COLUMN_WORKSPACE) * step.y.shape[-1] * item)
    return -(-most // ALIGNMENT) * ALIGNMENT
