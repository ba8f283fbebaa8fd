"""What an operation is: everything that plans, derivatives and the engine know of it.

Each file beside this one describes one operation, or a few that belong together. Its functions
take arrays and numbers **by the names of their parameters**:

- ``x``, or what ``operands`` calls the values that come in; ``y``, the value that goes out;
- ``dy``, the gradient of the loss by y; ``dx``, or ``d_`` and an operand's name, to write into;
- parameters by their names; in ``gradients``, ``d_`` and a parameter's name is the part of its
  gradient that the thread is to write, some rows of the parameter, and ``begin`` the first of these
  rows; in ``backward``, and if the step's are computed ``by_chunks``, it is the gradient over the
  rows of the batch that the function gets;
- buffers, which are saved with the parameters but not trained, by their names;
- what forward saves for backward, by the names in the step's ``saved``;
- of sums over the batch, by the names in the step's ``sums``: ``chunk_`` and the name is what the
  function writes for the chunk of rows that it gets, and the name itself is the array of what all
  chunks have given, for a function that comes later;
- ``cleared``, in ``gradients``: 1 if the parameter's gradient is known to be 0;
- ``adds``: 1 if the gradient is to be added to what is there (several uses of one value), 0 if
  it replaces that. A function that does not take it writes, and the plan adds up;
- ``scratch``: a workspace of ``scratch_bytes``, for one thread at a time;
- the step's own numbers by their names, such as ``slope``; ``mask_key``, ``mask_draw``,
  ``number`` and ``position`` for what is drawn at random.

What a backward function reads, the plan retains from the forward pass. A function gets some rows
of the batch, those of its thread or of a chunk; one in ``gradients`` gets all rows of the batch,
unless the gradients are computed by chunks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache, cached_property
from importlib import import_module
from math import prod
from pkgutil import iter_modules
from typing import Any, NamedTuple, Protocol

Shape = tuple[int, ...]
Numbers = Mapping[str, Any]  # an int, a float, or a tuple of floats: an array of constants


@dataclass(frozen=True)
class Tensor:
    """A value of the network; its shape leaves out the batch.

    Tensors of one ``buffer`` share their memory: a reshape computes nothing.
    """

    shape: Shape
    buffer: object = field(default_factory=object)

    @property
    def size(self) -> int:
        """Elements for each row of the batch."""
        return prod(self.shape)


class ParameterUse(NamedTuple):
    """A parameter that a step reads; or a buffer, which is saved with them, but not trained.

    Attributes
    ----------
    name : in the network.
    shape : Shape
    is_direction : whether the step reads, instead, how the parameter changes along a direction.
    is_frozen : whether its gradient is not wanted.
    """

    name: str
    shape: Shape
    is_direction: bool = False
    is_frozen: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether its gradient is wanted."""
        return not (self.is_direction or self.is_frozen)

    def along_direction(self) -> ParameterUse:
        """Return how the parameter changes."""
        return self._replace(is_direction=True)


class Function(NamedTuple):
    """A function, and the names of what it takes.

    Attributes
    ----------
    code : a kernel of the package, or a function of a user.
    names : what it takes, in order.
    label : how messages call it; "" for a kernel of the package.
    can_compile : whether Numba may compile it; else Python calls it, in one thread.
    adds_up : whether it finds zeros in the gradients that it writes, and may add to them.
    """

    code: Callable[..., Any]
    names: tuple[str, ...]
    label: str = ""
    can_compile: bool = True
    adds_up: bool = False


class View(IntEnum):
    """As what an operation's functions get the rows of a value."""

    FLAT = 1  # a vector
    LAST_AXIS = 2  # a matrix, whose columns are the last axis
    WHOLE = 0  # all axes, the batch first


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation.

    Attributes
    ----------
    name : str
    forward : Function
    backward : by operand, the function that computes its gradient; none for integers. Or several
        in a row: what the first writes into ``temporary``, of y's shape, the next one reads.
    gradients : by parameter, the function that computes a share of its gradient. One may be that of
        several parameters: arrays for those that are not wanted are empty.
    rows_of : by parameter, the operand with the numbers of its rows that the batch takes: all
        others have the gradient 0.
    reduce : comes before forward, for each chunk of rows, and writes what it says of the batch.
    update_buffers : comes after the forward pass, in one thread, if the loss is finite; it gets no
        rows.
    operands : the names of the values that come in.
    view : View
    tangent : returns how fast y changes where operands and parameters do, as a value that it
        appends to a plan; None where y does not change. Without it, there are first derivatives
        only.
    no_backward : why there is no backward pass through it; "" if there is one.
    derivatives : of an elementwise operation: how its derivative, a function of what its backward
        reads, changes with that; then how this does. Missing ones are 0.
    multiply_adds : estimates how many a row takes, in one pass.
    prefers_chunks : tells whether a step's gradients by its parameters are computed for each chunk
        of rows, and then added up; else each thread computes a part of them from all rows.
    scratch_bytes : the workspace that one thread needs: for a step, the rows of a batch, the bytes
        of a number, and whether there is a backward pass.
    square_norms : adds the squares of the norms of each row's own gradients, by all parameters,
        where a row of the batch is one of x; without it, the gradients themselves are needed.
    optional : the parameters that a step need not have: functions get an empty array then.
    numbers : the usual values of the functions' own numbers.
    fuse : by name of an elementwise operation that forward can do in the same pass, the numbers
        with which it does; if backward takes them, it does that operation's as well.
    merge : returns the operation that computes a step and the one behind it, in fewer passes over
        memory, from what both are given; None if there is none.
    commutes_with : the names of elementwise operations that may as well come behind it as before.
    weighs_columns : whether y, in all its rows, is a sum of products with its ``weight``, whose
        last axis are y's columns, plus its ``bias``: then what scales these may be folded into it.
    by_column : where y is x times a number of the column plus another one: composes these numbers,
        into ``scale`` and ``shift``, with those of the steps before.
    of : of a derivative: the operation that it is of, and its order.
    sample : by name, what a step of it may look like, for compiling its functions ahead: shapes of
        its parameters, and its own numbers; those that are missing are floats. By "saved",
        "buffers" and "sums", the shapes of these; by "shape", that of x, where the number of axes
        counts.
    """

    name: str
    forward: Function
    backward: Mapping[str, Function | tuple[Function, ...]]
    gradients: Mapping[str, Function] = field(default_factory=dict)
    rows_of: Mapping[str, str] = field(default_factory=dict)
    reduce: Function | None = None
    update_buffers: Function | None = None
    operands: tuple[str, ...] = ("x",)
    view: View = View.WHOLE
    tangent: Callable[[StepBuilder, Step, TangentMap], Tensor | None] | None = None
    no_backward: str = ""
    derivatives: tuple[Function, ...] = ()
    multiply_adds: Callable[[Step], int] | None = None
    prefers_chunks: Callable[[Step], bool] | None = None
    scratch_bytes: Callable[[Step, int, int, bool], int] | None = None
    square_norms: Function | None = None
    optional: frozenset[str] = frozenset({"bias"})
    numbers: Mapping[str, float] = field(default_factory=dict)
    fuse: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    merge: Callable[[Step, Step], Operation | None] | None = None
    commutes_with: tuple[str, ...] = ()
    weighs_columns: bool = False
    by_column: Function | None = None
    of: tuple[Operation, int] | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def names(self) -> frozenset[str]:
        """What its functions take; of a derivative also what the operation's own take."""
        functions = [*self.forward_pass, *self.gradients.values(), *self.derivatives]
        functions += [] if self.update_buffers is None else [self.update_buffers]
        functions += [f for operand in self.operands for f in self.backward_of(operand)]
        names = frozenset(name for function in functions for name in function.names)
        return names if self.of is None else names | self.of[0].names

    @property
    def forward_pass(self) -> tuple[Function, ...]:
        """The functions that compute y, in a row."""
        return (self.forward,) if self.reduce is None else (self.reduce, self.forward)

    def backward_of(self, operand: str) -> tuple[Function, ...]:
        """Return the functions that compute the gradient by an operand, in a row."""
        functions = self.backward.get(operand, ())
        return (functions,) if isinstance(functions, Function) else functions


@dataclass(eq=False)
class Step:
    """One step of a plan, before its values have places.

    Attributes
    ----------
    operation : Operation
    operands : the values that it takes.
    y : the value that it makes.
    layers : the positions of the layers that it belongs to.
    parameters : by the names that the operation gives them.
    numbers : hyperparameters, by name; functions get a tuple as an array.
    saved : by name, each array that forward saves for backward, also for that of its tangent;
        functions get it as they get values.
    buffers : by the names that the operation gives them.
    sums : by name, the shape of what each chunk of the batch gives.
    by_chunks : whether the functions in ``gradients`` are called for each chunk of rows.
    """

    operation: Operation
    operands: tuple[Tensor, ...]
    y: Tensor
    layers: list[int]
    parameters: Mapping[str, ParameterUse] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=dict)
    saved: Mapping[str, Tensor] = field(default_factory=dict)
    buffers: Mapping[str, ParameterUse] = field(default_factory=dict)
    sums: Mapping[str, Shape] = field(default_factory=dict)
    by_chunks: bool = False

    @property
    def x(self) -> Tensor:
        """The first operand."""
        return self.operands[0]

    def number(self, name: str) -> float:
        """Return one of its numbers, which is no array of them."""
        value = self.numbers[name]
        assert not isinstance(value, tuple)
        return float(value)

    def giving(self, y: Tensor) -> Step:
        """Return the step as one that makes another value."""
        return replace(self, y=y)

    @property
    def trains(self) -> bool:
        """Whether it has parameters whose gradients are wanted."""
        return any(use.is_trained for use in self.parameters.values())

    @property
    def along_direction(self) -> bool:
        """Whether it reads how parameters change, instead of these."""
        return any(use.is_direction for use in self.parameters.values())


class StepBuilder(Protocol):
    """What appends a tangent rule's steps; :class:`chainrule.plan.builder.StepBuilder` does."""

    def apply(
        self,
        operation: str | Operation,
        *operands: Tensor,
        shape: Shape | None = None,
        y: Tensor | None = None,
        parameters: Mapping[str, ParameterUse] | None = None,
        numbers: Numbers | None = None,
        saved: Mapping[str, Tensor] | None = None,
        buffers: Mapping[str, ParameterUse] | None = None,
        sums: Mapping[str, Shape] | None = None,
    ) -> Tensor: ...
    def again(self, step: Step, *operands: Tensor, y: Tensor | None = None) -> Tensor: ...
    def rescale(self, x: Tensor, scale: float, offset: float = -0.0) -> Tensor: ...
    def sum_of(self, first: Tensor | None, second: Tensor | None) -> Tensor | None: ...


class TangentMap(Protocol):
    """The tangents of a plan's values, as :class:`chainrule.plan.tangent.TangentMap` has them."""

    parameters_change: bool

    def of(self, value: Tensor) -> Tensor | None: ...


@cache
def function(code: Callable[..., Any], *names: str) -> Function:
    """Return a kernel that takes what is named so, by default as its parameters are."""
    if not names:
        names = tuple(inspect.signature(getattr(code, "py_func", code)).parameters)
    return Function(code, names)


def find(name: str) -> Any:
    """Return the operation, loss or update of this name; ValueError if there is none.

    >>> find("relu").name
    'relu'
    """
    module = f"chainrule.operations.{name}"
    operation = None
    try:
        # A file of what several operations have in common has none.
        operation = getattr(import_module(module), "OPERATION", None)
    except ModuleNotFoundError as error:
        if error.name != module:  # it is there, and needs what is not
            raise
    if operation is None:
        raise ValueError(f"there is no operation {name!r}.")
    return operation


def all_operations() -> dict[str, Any]:
    """Return all operations, losses and updates by name, as the files of this folder have them.

    >>> all_operations()["relu"] is find("relu")
    True
    """
    found = {}
    for module in iter_modules(import_module("chainrule.operations").__path__):
        with suppress(ValueError):
            found[module.name] = find(module.name)
    return found


def tangent_of_linear_map(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return the same operation of the tangent, as an operation that is linear in x has it."""
    dx = tangents.of(step.x)
    return None if dx is None else plan.again(step, dx)
