"""The tangents of custom layers: how fast y changes where x and the parameters do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from chainrule.operations.operation import (
    Function,
    Operation,
    ParameterUse,
    Step,
    StepBuilder,
    TangentMap,
    Tensor,
)

Rule = Callable[[StepBuilder, Step, TangentMap], Tensor | None]

# The operand of a tangent that is the layer's y; no parameter of a user's has this name.
VALUE = "the value"


class TangentFunctions(NamedTuple):
    """What a tangent is computed by; names are those that the user's functions have.

    Attributes
    ----------
    forward : takes ``x_dot`` and each parameter's, and writes ``y_dot``.
    pull_back : the layer's own backward, from y_dot to x_dot: a tangent is linear in x_dot.
    backward : takes ``dy``, the gradient by y_dot, and writes the gradients by x and by the
        parameters, which y_dot depends on as well; None if it is not known.
    missing : what to say then.
    """

    forward: Function
    pull_back: Function
    backward: Function | None
    missing: str


def dots(names: Iterable[str]) -> list[str]:
    """Return what the tangents of parameters are called."""
    return [f"{name}_dot" for name in names]


def tangent_by(functions: TangentFunctions) -> Rule:
    """Return the rule of an operation whose tangent is computed by functions of the user's."""
    backward = {"x_dot": _renamed(functions.pull_back, y=VALUE, dx="d_x_dot")}
    if functions.backward is not None:
        backward["x"] = _renamed(functions.backward, y=VALUE)
    operation = Operation(
        functions.forward.label,
        _renamed(functions.forward, y=VALUE, y_dot="y"),
        backward,
        operands=("x", "x_dot", VALUE),  # the last one first in the backward pass
        tangent=_refuse,
        no_backward="" if functions.backward is not None else functions.missing,
    )

    def rule(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
        changes = tangents.parameters_change and step.trains
        x_dot = tangents.of(step.x)
        if x_dot is None and not changes:
            return None
        if x_dot is None:
            x_dot = plan.rescale(step.x, 0.0)
        uses: dict[str, ParameterUse] = {}
        for name, use in step.parameters.items():
            uses |= {name: use, f"{name}_dot": use.along_direction()}
        known = operation.names | {name.removeprefix("d_") for name in operation.names}
        return plan.apply(
            operation,
            step.x,
            x_dot,
            step.y,
            shape=step.y.shape,
            parameters={name: use for name, use in uses.items() if name in known},
            saved={name: value for name, value in step.saved.items() if name in known},
        )

    return rule


def _refuse(plan: StepBuilder, step: Step, tangents: TangentMap) -> None:
    """Raise NotImplementedError where the tangent of a tangent is needed."""
    changes = any(tangents.of(operand) is not None for operand in step.operands)
    if changes or (tangents.parameters_change and step.trains):
        raise NotImplementedError(
            f"{step.operation.name} has no tangent of its own, which second derivatives by the "
            "input need: among custom layers, only those with linear=True have it."
        )


def tangent_of_bilinear(make: Callable[[], Operation]) -> Rule:
    """Return the rule of an operation that is linear in x, and in all parameters together.

    ``make`` returns the operation, anew for each step.
    """

    def rule(plan: StepBuilder, step: Step, tangents: TangentMap) -> Tensor | None:
        x_dot, by_x, by_parameters = tangents.of(step.x), None, None
        if x_dot is not None:
            by_x = _again(plan, step, x_dot, step.parameters)
        if tangents.parameters_change and step.trains:
            directions = {name: use.along_direction() for name, use in step.parameters.items()}
            by_parameters = _again(plan, step, step.x, directions)
        return plan.sum_of(by_x, by_parameters)

    def _again(
        plan: StepBuilder, step: Step, x: Tensor, parameters: Mapping[str, ParameterUse]
    ) -> Tensor:
        saved = {name: Tensor(value.shape) for name, value in step.saved.items()}
        return plan.apply(make(), x, shape=step.y.shape, parameters=parameters, saved=saved)

    return rule


def _renamed(function: Function, **names: str) -> Function:
    return function._replace(names=tuple(names.get(name, name) for name in function.names))
