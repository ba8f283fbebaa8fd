"""A call of a function, and the calls of a step's functions with their arguments."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from chainrule.kernels import context
from chainrule.kernels.argument import Kind
from chainrule.kernels.context import Flag
from chainrule.operations.operation import Function, ParameterUse, Step, Tensor, View
from chainrule.plan.argument import (
    Argument,
    hyperparameter,
    number,
    partition,
    partition_start,
    position,
    rows_of,
    sum_of_chunk,
    sums_of_chunks,
    whole,
    word,
)

CHUNK = "chunk_"  # before the name of a sum: what one chunk of the batch gives to it


# What a scale and a shift of each column are composed in, one after the other in the workspace.
COLUMN_WORKSPACE = "scale", "shift"

EMPTY = whole(context.PARAMS, 0, (0,))  # an optional parameter, or what is not wanted


@dataclass(frozen=True, eq=False)
class Call:
    """One row of a program.

    Attributes
    ----------
    function : Function
    arguments : its arguments, in order.
    flags : a sum of ``context.Flag``.
    """

    function: Function
    arguments: tuple[Argument, ...]
    flags: int = 0

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of its arguments, for which the function is compiled."""
        return tuple(argument.kind for argument in self.arguments)

    def encode(self, places: Mapping[Hashable, int]) -> list[int]:
        """Return the call's row of the table; the binding fills in the function's address."""
        row = [0, self.flags | (0 if self.function.can_compile else Flag.PYTHON)]
        for _, base, place, words in self.arguments:
            if base == context.ARENA:
                row += base, places[place]
            elif base >= 0:
                row += base, place
            row += words
        return row


def value(tensor: Tensor) -> Hashable:
    """Return the key of the buffer that holds a value."""
    return "value", tensor.buffer


def gradient(tensor: Tensor) -> Hashable:
    """Return the key of the buffer that holds the gradient by a value."""
    return "gradient", tensor.buffer


class Caller:
    """Makes calls of steps' functions.

    Parameters
    ----------
    offsets : the position of each parameter in the vector of all, and of each buffer, by name.
    item : bytes of an element.
    scratch : elements of a thread's workspace.
    """

    def __init__(self, offsets: Mapping[str, int], item: int, scratch: int) -> None:
        self.offsets, self.item, self.scratch = offsets, item, scratch

    def call(
        self,
        step: Step,
        function: Function,
        flags: int = 0,
        *,
        adds: bool = False,
        buffers: Mapping[str, Hashable] | None = None,
        wanted: Collection[str] | None = None,
    ) -> Call:
        """Return the call of one of a step's functions.

        ``buffers`` replaces the buffers of some arguments, by name. Of a function that computes
        gradients by parameters, those ``wanted`` are named; arrays for others are empty.
        """
        buffers = buffers or {}
        unwanted = () if wanted is None else step.operation.gradients.keys() - wanted
        operands = dict(zip(step.operation.operands, step.operands, strict=True))
        arguments = [
            EMPTY
            if name[:2] == "d_" and name[2:] in unwanted
            else self._argument(step, operands, function, name, adds, buffers.get(name))
            for name in function.names
        ]
        return Call(function, tuple(arguments), flags)

    def in_a_row(
        self,
        step: Step,
        functions: Sequence[Function],
        flags: int = 0,
        *,
        adds: bool = False,
        buffers: Mapping[str, Hashable] | None = None,
    ) -> list[Call]:
        """Return the calls of a step's functions that come one after the other.

        One that writes the sums of a chunk is called for each chunk; before the sums of all are
        read, all threads have written theirs.
        """
        calls: list[Call] = []
        written: set[str] = set()
        for function in functions:
            own = {name.removeprefix(CHUNK) for name in function.names if name[:6] == CHUNK}
            more = Flag.CHUNKED if own & step.sums.keys() else 0
            more |= Flag.BARRIER if written & set(function.names) else 0
            calls.append(self.call(step, function, flags | more, adds=adds, buffers=buffers))
            written |= own
        return calls

    def _argument(
        self,
        step: Step,
        operands: Mapping[str, Tensor],
        function: Function,
        name: str,
        adds: bool,
        buffer: Hashable | None,
    ) -> Argument:
        if buffer is not None and name in ("weight", "bias"):  # folded
            columns = step.y.shape[-1:]
            shape = step.parameters[name].shape if name in step.parameters else columns
            return whole(context.ARENA, buffer, shape)
        if name == "y" or name in operands:
            tensor = step.y if name == "y" else operands[name]
            return self._rows(tensor, buffer or value(tensor), step.operation.view)
        if name in step.parameters:  # first, as a user's parameter may have one of the names below
            return self._parameter(step.parameters[name])
        if name in ("dy", "temporary"):
            return self._rows(step.y, buffer or gradient(step.y), step.operation.view)
        if name in step.numbers:
            return hyperparameter(step.numbers[name])
        if name in step.buffers:
            use = step.buffers[name]
            return whole(context.BUFFERS, self._offset(use) * self.item, use.shape)
        if name in step.sums:
            return sums_of_chunks(("sums", name, step.y.buffer), step.sums[name])
        if name.removeprefix(CHUNK) in step.sums:
            own = name.removeprefix(CHUNK)
            return sum_of_chunk(("sums", own, step.y.buffer), step.sums[own], self.item)
        if name in step.saved:
            return self._rows(step.saved[name], value(step.saved[name]), step.operation.view)
        source = "x" if name == "dx" else name.removeprefix("d_")
        if source in operands:
            tensor = operands[source]
            argument = self._rows(tensor, buffer or gradient(tensor), step.operation.view)
            if function.adds_up:
                argument = argument._replace(kind=argument.kind._replace(cleared=True))
            return argument
        if source in step.parameters and name != source:
            return self._parameter_gradient(step, function, source)
        return self._other(step, function, name, adds)

    def _other(self, step: Step, function: Function, name: str, adds: bool) -> Argument:
        if name == "adds":
            return number(int(adds))
        if name == "cleared":
            return word(context.CLEARED)
        if name == "scratch":
            return whole(context.SCRATCH, 0, (self.scratch,))
        if name == "mask_key":
            return word(context.MASK_KEY)
        if name == "mask_draw":
            return word(context.MASK_DRAW)
        if name == "position":
            return position(step.x.size)
        if name in COLUMN_WORKSPACE:
            return column_argument(name, step.y.shape[-1], self.item)
        if name.removeprefix("d_") in step.operation.optional:  # there is none
            return EMPTY
        if name == "begin":  # of the first one
            own = next(n[2:] for n in function.names if n[2:] in step.parameters and n[:2] == "d_")
            use = step.parameters[own]
            if step.by_chunks:
                return number(0)
            return partition_start(self._offset(use), *units_of(use.shape))
        raise ValueError(
            f"{step.operation.name}'s functions take {name!r}, which the step does not have."
        )

    def _rows(self, tensor: Tensor, buffer: Hashable, view: View) -> Argument:
        return rows_of(context.ARENA, buffer, tensor.shape, self.item, ndim=int(view) or None)

    def _offset(self, use: ParameterUse) -> int:
        return self.offsets[use.name]

    def _parameter(self, use: ParameterUse) -> Argument:
        base = context.DIRECTION if use.is_direction else context.PARAMS
        return whole(base, self._offset(use) * self.item, use.shape)

    def _parameter_gradient(self, step: Step, function: Function, name: str) -> Argument:
        use = step.parameters[name]
        if function in step.operation.gradients.values() and not step.by_chunks:
            return partition(context.GRADS, self._offset(use), *units_of(use.shape))
        argument = sum_of_chunk(("chunks", step, name), use.shape, self.item)
        return argument._replace(kind=argument.kind._replace(cleared=function.adds_up))


def column_argument(name: str, columns: int, item: int) -> Argument:
    """Return the array of the columns' scales, or shifts, in the thread's workspace."""
    return whole(context.SCRATCH, COLUMN_WORKSPACE.index(name) * columns * item, (columns,))


def call_with(
    function: Function, given: Mapping[str, Argument], owner: str, flags: int = 0
) -> Call:
    """Return the call of a function with arguments by name; error messages name its ``owner``.

    Raises
    ------
    ValueError
        If an argument is missing.
    """
    for name in function.names:
        if name not in given:
            raise ValueError(f"{owner}'s functions take {name!r}, which is not given.")
    return Call(function, tuple(given[name] for name in function.names), flags)


def units_of(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return the units of a parameter's partitions among threads: its rows, or a whole vector.

    >>> units_of((3, 5)), units_of((5,))
    ((3, (1, 5)), (1, (5,)))
    """
    if len(shape) < 2:
        return 1, shape or (1,)
    return shape[0], (1, *shape[1:])
