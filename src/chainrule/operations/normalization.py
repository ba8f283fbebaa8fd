"""The tangent that normalizations have in common, by what they take the mean over."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.operations.operation import Step, StepBuilder, TangentMap, Tensor

# Appends the mean of a value times a factor, plus an offset, in each of its places.
Mean = Callable[[Tensor, float, float], Tensor]
NO_OFFSET = -0.0  # adding it leaves every number as it is


def tangent_of_normalization(
    plan: StepBuilder,
    step: Step,
    tangents: TangentMap,
    mean: Mean,
    *,
    eps: float,
    centered: bool = True,
) -> Tensor | None:
    """Return ``scale * (dx - mean(dx) - y * mean(y * dx))``, ``scale = rsqrt(variance + eps)``.

    Without ``centered``, no mean is subtracted: the variance is the mean square.
    """
    change = tangents.of(step.x)
    if change is None:
        return None
    deviation = step.x
    if centered:
        deviation = plan.apply("add", step.x, mean(step.x, -1.0, NO_OFFSET))
        change = plan.apply("add", change, mean(change, -1.0, NO_OFFSET))
    variance = mean(plan.apply("multiply", deviation, deviation), 1.0, eps)
    scale = plan.apply("rsqrt", variance)
    along_y = mean(plan.apply("multiply", step.y, change), -1.0, NO_OFFSET)
    change = plan.apply("add", change, plan.apply("multiply", step.y, along_y))
    return plan.apply("multiply", scale, change)


def mean_of_rows(plan: StepBuilder) -> Mean:
    """Return what appends the mean along the last axis."""

    def mean(x: Tensor, factor: float, offset: float) -> Tensor:
        return plan.rescale(plan.apply("sum_last_axis", x), factor / x.shape[-1], offset)

    return mean
