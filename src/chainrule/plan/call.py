"""A call of a function, and how the functions of a step become calls: what each argument is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from chainrule.kernels import context
from chainrule.kernels.argument import Kind, Rows
from chainrule.operations.operation import Function, ParameterUse, Step, Tensor, View
from chainrule.plan.argument import (
    Argument,
    hyperparameter,
    number,
    position,
    rows_of,
    share,
    share_start,
    whole,
    word,
)


@dataclass(frozen=True, eq=False)
class Call:
    """One row of a program.

    Attributes
    ----------
    function : Function
    arguments : what it takes.
    flags : a sum of ``context.Flag``.
    """

    function: Function
    arguments: tuple[Argument, ...]
    flags: int = 0

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What compiled code must know of its arguments."""
        return tuple(argument.kind for argument in self.arguments)

    def encode(self, places: Mapping[Hashable, int]) -> list[int]:
        """Return the row, without the function: the binding fills in its address."""
        row = [0, self.flags | (0 if self.function.can_compile else context.Flag.PYTHON)]
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
    offsets : where each parameter begins in the vector of all, by name.
    item : bytes of a number.
    scratch : how many numbers a thread's workspace has.
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
    ) -> Call:
        """Return the call of one of a step's functions.

        ``buffers`` are other ones than usual for what is named so.
        """
        buffers = buffers or {}
        operands = dict(zip(step.operation.operands, step.operands, strict=True))
        arguments = [
            self._argument(step, operands, function, name, adds, buffers.get(name))
            for name in function.names
        ]
        return Call(function, tuple(arguments), flags)

    def _argument(
        self,
        step: Step,
        operands: Mapping[str, Tensor],
        function: Function,
        name: str,
        adds: bool,
        buffer: Hashable | None,
    ) -> Argument:
        if name == "y" or name in operands:
            tensor = step.y if name == "y" else operands[name]
            return self._rows(tensor, buffer or value(tensor), step.operation.view)
        if name in step.parameters:  # a user's may be called like what comes below
            return self._parameter(step.parameters[name])
        if name in ("dy", "temporary"):
            return self._rows(step.y, buffer or gradient(step.y), step.operation.view)
        if name in step.numbers:
            return hyperparameter(step.numbers[name])
        if name in step.saved:
            tensor = Tensor(step.saved[name])
            return self._rows(tensor, ("saved", name, step), View.WHOLE)
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
        if name == "scratch":
            return whole(context.SCRATCH, 0, (self.scratch,))
        if name == "mask_key":
            return word(context.MASK_KEY)
        if name == "mask_draw":
            return word(context.MASK_DRAW)
        if name == "position":
            return position(step.x.size)
        if name == "bias":  # there is none
            return whole(context.PARAMS, 0, (0,))
        if name == "begin":
            (own,) = (n[2:] for n in function.names if n[2:] in step.parameters and n[:2] == "d_")
            use = step.parameters[own]
            return share_start(self._offset(use), *units_of(use.shape))
        raise ValueError(
            f"{step.operation.name}'s functions take {name!r}, which a step of it does not have."
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
        if function in step.operation.gradients.values():
            return share(context.GRADS, self._offset(use), *units_of(use.shape))
        # A sum over a chunk of rows, beside those of the step's other parameters.
        before = self._offset(use) - first_offset(step, self.offsets)
        words = parameters_of(step) * self.item, before * self.item, *use.shape
        kind = Kind(Rows.CHUNK, len(use.shape), cleared=function.adds_up)
        return Argument(kind, context.ARENA, ("chunks", step), words)


def call_with(
    function: Function, given: Mapping[str, Argument], owner: str, flags: int = 0
) -> Call:
    """Return the call of a function with what is given by name; ``owner`` is whose function it is.

    Raises
    ------
    ValueError
        If the function takes what there is not.
    """
    for name in function.names:
        if name not in given:
            raise ValueError(f"{owner}'s functions take {name!r}, which is not given.")
    return Call(function, tuple(given[name] for name in function.names), flags)


def units_of(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return the units in which threads share a parameter's gradient: its rows, or all of a vector.

    >>> units_of((3, 5)), units_of((5,))
    ((3, (1, 5)), (1, (5,)))
    """
    if len(shape) < 2:
        return 1, shape or (1,)
    return shape[0], (1, *shape[1:])


def parameters_of(step: Step) -> int:
    """Return how many numbers a step's parameters are."""
    return sum(prod(use.shape) for use in step.parameters.values())


def first_offset(step: Step, offsets: Mapping[str, int]) -> int:
    """Return where a step's parameters begin."""
    return min(offsets[use.name] for use in step.parameters.values())
