"""What an operation is: everything that plans, derivatives and the engine know of it.

Each file beside this one describes one operation, or a few that belong together. Its functions
take arrays and numbers **by the names of their parameters**:

- ``x``, or what ``operands`` calls the values that come in; ``y``, the value that goes out;
- ``dy``, the gradient of the loss by y; ``dx``, or ``d_`` and an operand's name, to write into;
- parameters by their names; in ``gradients``, ``d_`` and a parameter's name is the share of its
  gradient that is to be written, in rows of the parameter, and ``begin`` the first of these rows;
- ``adds``: 1 if the gradient is to be added to what is there (several uses of one value), 0 if
  it replaces that. A function that does not take it writes, and the plan adds up;
- ``scratch``: a workspace of ``scratch_bytes``, for one thread at a time;
- the step's own numbers by their names, such as ``slope``; ``mask_key``, ``mask_draw``,
  ``number`` and ``position`` for what is drawn at random.

What a backward function reads, the plan retains from the forward pass. All get whole rows of the
batch: those of one thread; ``gradients`` those of the whole batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from chainrule.plan.builder import PlanBuilder, Step, Tensor
    from chainrule.plan.tangent import Tangents


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
    gradients : by parameter, the function that computes a share of its gradient.
    operands : the names of the values that come in.
    view : View
    tangent : returns how fast y changes where operands and parameters do, as a value that it
        appends to a plan; None where y does not change. Without it, there are first derivatives
        only.
    derivatives : of an elementwise operation: how its derivative, a function of what its backward
        reads, changes with that; then how this does. Missing ones are 0.
    multiply_adds : estimates how many a row takes, in one pass.
    scratch_bytes : the workspace that one thread needs, for so many rows.
    square_norms : adds the squares of the norms of each row's own gradients, by all parameters,
        where a row of the batch is one of x; without it, the gradients themselves are needed.
    numbers : the usual values of the functions' own numbers.
    fuse : by name of an elementwise operation that forward can do in the same pass, the numbers
        with which it does.
    of : of a derivative: the operation that it is of, and its order.
    """

    name: str
    forward: Function
    backward: Mapping[str, Function | tuple[Function, ...]]
    gradients: Mapping[str, Function] = field(default_factory=dict)
    operands: tuple[str, ...] = ("x",)
    view: View = View.WHOLE
    tangent: Callable[[PlanBuilder, Step, Tangents], Tensor | None] | None = None
    derivatives: tuple[Function, ...] = ()
    multiply_adds: Callable[[Step], int] | None = None
    scratch_bytes: Callable[[Step, int, int, bool], int] | None = None
    square_norms: Function | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    fuse: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    of: tuple[Operation, int] | None = None

    def backward_of(self, operand: str) -> tuple[Function, ...]:
        """Return the functions that compute the gradient by an operand, in a row."""
        functions = self.backward.get(operand, ())
        return (functions,) if isinstance(functions, Function) else functions


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
    try:
        return import_module(f"chainrule.operations.{name}").OPERATION
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(f"there is no operation {name!r}.") from None


def tangent_of_linear_map(plan: PlanBuilder, step: Step, tangents: Tangents) -> Tensor | None:
    """Return the same operation of the tangent, as an operation that is linear in x has it."""
    dx = tangents.of(step.x)
    return None if dx is None else plan.again(step, dx)


def elementwise(
    name: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *derivatives: Callable[..., Any],
) -> Operation:
    """Return an operation that works on each element by itself.

    Its backward reads y or x, besides ``dy``. The derivatives multiply as it does, by the
    derivative's derivative by what it reads, and so on.
    """
    from chainrule.operations.derivative import tangent_of_elementwise

    return Operation(
        name,
        function(forward),
        {"x": function(backward)},
        view=View.FLAT,
        tangent=tangent_of_elementwise,
        derivatives=tuple(map(function, derivatives)),
    )
