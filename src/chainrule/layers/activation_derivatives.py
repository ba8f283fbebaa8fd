"""A custom activation as an operation, and its derivatives as operations, for its tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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

NAMES = "f", "df", "d2f", "d3f"


@dataclass(frozen=True)
class Derivative:
    """A derivative of the activation.

    Attributes
    ----------
    loop : multiplies by it: ``dx = dy * derivative(...)``.
    reads : what it is a function of: x, y, or both.
    """

    loop: Callable[..., Any]
    reads: tuple[str, ...]


def activation(
    label: str, loop: Callable[..., Any], derivatives: Sequence[Derivative], by: str
) -> Operation:
    """Return the operation: a loop over f, and its derivatives from the first one on.

    ``by`` is what messages say of how the first one is computed.
    """
    first = derivatives[0]

    def tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
        x_dot = tangents.of(step.x)
        if x_dot is None:
            return None
        return plan.apply(_multiplier(label, derivatives, 1), x_dot, step.x, step.y)

    return Operation(
        label,
        Function(loop, ("x", "y"), f"the forward of {label}"),
        {"x": Function(first.loop, ("dy", *first.reads, "dx"), f"the backward of {label}{by}")},
        view=View.FLAT,
        tangent=tangent,
    )


def _multiplier(label: str, derivatives: Sequence[Derivative], order: int) -> Operation:
    """Return ``y = x * g(at)``, with g the derivative of this order at the activation's input.

    ``value`` is the activation's output there. How fast y changes with ``at`` says the next
    derivative.
    """
    from chainrule.operations.multiply import multiply as multiply_elements  # loads Numba

    def multiply(number: int, given: str, result: str) -> Function:
        derivative = derivatives[number - 1]
        at = [{"x": "at", "y": "value"}[name] for name in derivative.reads]
        return Function(derivative.loop, (given, *at, result), f"the {NAMES[number]} of {label}")

    backward: dict[str, Function | tuple[Function, ...]] = {"x": multiply(order, "dy", "dx")}
    missing = ""
    if order < len(derivatives):
        product = function(multiply_elements, "temporary", "x", "d_at")
        backward["at"] = multiply(order + 1, "dy", "temporary"), product
    elif order + 1 < len(NAMES):
        missing = f"{label} has no {NAMES[order + 1]}, which this derivative needs."
    else:
        missing = "a network's fourth derivatives are not there."

    def tangent(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
        x, at, value = step.operands
        x_dot, at_dot, by_x, by_at = tangents.of(x), tangents.of(at), None, None
        if x_dot is not None:
            by_x = plan.again(step, x_dot, at, value)
        if at_dot is not None:
            if missing:
                raise NotImplementedError(missing)
            change = plan.apply("multiply", x, at_dot)
            by_at = plan.apply(_multiplier(label, derivatives, order + 1), change, at, value)
        return plan.sum_of(by_x, by_at)

    return Operation(
        f"the {NAMES[order]} of {label}",
        multiply(order, "x", "y"),
        backward,
        operands=("x", "at", "value"),
        view=View.FLAT,
        tangent=tangent,
        no_backward=missing,
    )
