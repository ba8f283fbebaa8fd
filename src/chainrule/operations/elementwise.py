"""Operations that work on each element by itself, and their derivatives as operations.

The derivative is ``y = x * g(other)``: ``g`` is the operation's derivative, or one of its
derivatives, as a function of what its backward pass reads. TangentMap consist of them (Pearlmutter,
*Fast Exact Multiplication by the Hessian*, 1994).

Their kernels must not work in place: where input and output may overlap, LLVM falls back to scalar
code. A twin of a second or third derivative says what it multiplies by.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from chainrule.kernels.jit import kernel
from chainrule.operations.multiply import multiply
from chainrule.operations.operation import (
    Function,
    Operation,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
    View,
    function,
)

MOST_ORDER = 2  # of a derivative in a plan: its own backward needs the next one


@kernel
def multiply_by_zero(dy, y, dx):
    """Do so for what is piecewise linear; a NaN stays one."""
    zero = y.dtype.type(0)
    for i in range(y.size):
        dx[i] = dy[i] * zero + zero


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
    return Operation(
        name,
        function(forward),
        {"x": function(backward)},
        view=View.FLAT,
        tangent=tangent_of_elementwise,
        derivatives=tuple(map(function, derivatives)),
    )


@cache
def derivative_of(operation: Operation, order: int) -> Operation:
    """Return the operation that multiplies by the derivative of this order."""
    this, following = _multiplier(operation, order), _multiplier(operation, order + 1)
    return Operation(
        f"derivative {order} of {operation.name}",
        _renamed(this, dy="x", dx="y"),
        {
            "x": _renamed(this),
            "other": (
                _renamed(following, dx="temporary"),
                function(multiply, "temporary", "x", "d_other"),
            ),
        },
        operands=("x", "other"),
        view=View.FLAT,
        tangent=_tangent,
        of=(operation, order),
    )


def tangent_of_elementwise(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``dx * g``."""
    dx = tangents.of(step.x)
    if dx is None:
        return None
    (backward,) = step.operation.backward_of("x")
    other = step.y if "y" in backward.names else step.x
    return plan.apply(derivative_of(step.operation, 1), dx, other, numbers=step.numbers)


def _tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
    """Return ``dx * g(other) + x * g'(other) * d_other``."""
    x, other = step.operands
    dx, d_other, by_x, by_other = tangents.of(x), tangents.of(other), None, None
    if dx is not None:
        by_x = plan.again(step, dx, other)
    if d_other is not None:
        assert step.operation.of is not None
        operation, order = step.operation.of
        if order == MOST_ORDER:
            raise NotImplementedError("a network's third tangents are not there.")
        change = plan.apply("multiply", x, d_other)
        following = derivative_of(operation, order + 1)
        by_other = plan.apply(following, change, other, numbers=step.numbers)
    return plan.sum_of(by_x, by_other)


def _multiplier(operation: Operation, order: int) -> Function:
    """Return the function that multiplies by the derivative of this order."""
    if order == 1:
        (backward,) = operation.backward_of("x")
        return backward
    if order - 2 < len(operation.derivatives):
        return operation.derivatives[order - 2]
    return function(multiply_by_zero)


def _renamed(multiplier: Function, **names: str) -> Function:
    """Return it with other names; what the operation reads, its x or its y, is ``other``."""
    names = {"x": "other", "y": "other"} | names
    return multiplier._replace(names=tuple(names.get(name, name) for name in multiplier.names))
