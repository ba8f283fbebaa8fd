"""Verify second derivatives: Hessian-vector products against differences of gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import arrays
from chainrule.arguments import above_zero, integer
from chainrule.autodiff import hvp, value_and_grad
from chainrule.errors import GradientMismatch
from chainrule.gradcheck import STEP, GradientReport, ParameterReport
from chainrule.losses import Loss
from chainrule.network import Sequential

__all__ = ["gradgradcheck"]

Float64 = NDArray[np.float64]
BOTH = ("params", "x")


@overload
def gradgradcheck(
    gradient: Sequential,
    product: Loss,
    x: ArrayLike,
    y: Any,
    *,
    sample_weight: ArrayLike | None = ...,
    tolerance: float = ...,
    seed: int = ...,
) -> GradientReport: ...
@overload
def gradgradcheck(
    gradient: Callable[[Float64], ArrayLike],
    product: Callable[[Float64, Float64], ArrayLike],
    x: ArrayLike,
    *,
    tolerance: float = ...,
    seed: int = ...,
) -> GradientReport: ...
def gradgradcheck(
    gradient: Any,
    product: Any,
    x: ArrayLike,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Compare second derivatives along a random direction with differences of gradients.

    ``gradgradcheck(net, loss, x, y)`` checks :func:`hvp` for a float64 copy of the network, by all
    parameters and the input at once. ``gradgradcheck(grad_f, hvp_f, x)`` checks any function's
    ``hvp_f(x, v)``, the Hessian times v, by its gradient, which :func:`gradcheck` checks.

    Parameters
    ----------
    gradient : Sequential, or function of an array that returns one of its shape
    product : Loss, or function of two such arrays that returns another
    x : array
        The batch, or the point at which to check.
    y, sample_weight : arrays
        What the loss takes.
    tolerance : float
        Largest relative error that passes, relative as in :func:`gradcheck`. Entries whose slopes
        to the left and to the right differ are left out as kinks.
    seed : int
        For the direction.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatch
        If an error is larger; its ``report`` is the report.
    ValueError, TypeError
        If the arguments do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(3, 4), cr.Tanh(), cr.Linear(4, 2), seed=0)
    >>> cr.gradgradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.zeros((5, 2))).passed
    True
    >>> cr.gradgradcheck(lambda x: 3 * x**2, lambda x, v: 6 * x * v, [1.0, 2.0]).passed
    True
    """
    tolerance, seed = above_zero(tolerance, "tolerance"), integer(seed, "seed", least=0)
    rng = np.random.default_rng(seed)
    if isinstance(gradient, Sequential):
        if not isinstance(product, Loss):
            raise TypeError(f"gradgradcheck(net, loss, x, y) needs a loss, not {product!r}.")
        if y is None:
            raise TypeError("gradgradcheck(net, loss, x, y) needs y.")
        parts = _network_parts(gradient, product, x, y, sample_weight, rng)
    else:
        if not callable(gradient) or not callable(product):
            raise TypeError("gradgradcheck takes (net, loss, x, y) or (gradient, product, x).")
        parts = _function_parts(gradient, product, x, rng)
    largest = max((float(abs(analytic).max(initial=0)) for _, analytic, _ in parts), default=0.0)
    reports = tuple(_compare(*part, largest, tolerance) for part in parts)
    report = GradientReport(reports, tolerance, "second derivative")
    if not report.passed:
        raise GradientMismatch(report)
    return report


# Of one array: its name, what is to be checked, and how the gradient changes from step to step.
_Part = tuple[str, Float64, Callable[[float, float], Float64]]


def _function_parts(
    gradient: Callable[[Float64], ArrayLike],
    product: Callable[[Float64, Float64], ArrayLike],
    x: ArrayLike,
    rng: np.random.Generator,
) -> list[_Part]:
    point = arrays.real_array(x, "x", np.dtype(float))
    direction = rng.normal(size=point.shape)
    analytic = np.asarray(product(point.copy(), direction.copy()), float)
    if analytic.shape != point.shape:
        raise ValueError(
            f"The product must have x's shape, {point.shape}, but its shape is {analytic.shape}."
        )

    def slope(left: float, right: float) -> Float64:
        after, before = (
            np.asarray(gradient(point + step * direction), float) for step in (right, left)
        )
        return np.asarray((after - before) / (right - left))

    return [("x", analytic, slope)]


def _network_parts(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    sample_weight: ArrayLike | None,
    rng: np.random.Generator,
) -> list[_Part]:
    twin = net.copy(dtype="float64")
    batch = twin.check_input(x, "x").astype(twin.dtype)
    directions = rng.normal(size=twin.params.shape), rng.normal(size=batch.shape)
    analytic = hvp(twin, loss, batch, y, directions, BOTH, sample_weight=sample_weight)
    evaluate = value_and_grad(twin, loss, BOTH)

    @cache  # for all parts
    def slopes(left: float, right: float) -> list[Float64]:
        after, before = (
            evaluate(
                twin.params + step * directions[0], batch + step * directions[1], y, sample_weight
            )[1]
            for step in (right, left)
        )
        return [(a - b) / (right - left) for a, b in zip(after, before, strict=True)]

    parts: list[_Part] = [("x", analytic[1], lambda left, right: slopes(left, right)[1])]
    begin = 0
    for name, view in twin.parameters().items():
        entries = slice(begin, begin + view.size)
        begin += view.size

        def slope(
            left: float, right: float, entries: slice = entries, shape: Any = view.shape
        ) -> Float64:
            return slopes(left, right)[0][entries].reshape(shape)

        parts.append((name, analytic[0][entries].reshape(view.shape), slope))
    return parts


def _compare(
    name: str,
    analytic: Float64,
    slope: Callable[[float, float], Float64],
    largest: float,
    tolerance: float,
) -> ParameterReport:
    """Compare all entries with central differences, better ones by Richardson's extrapolation."""
    if analytic.size == 0:
        return ParameterReport(name, analytic.shape, 0, 0, 0.0, (), 0.0, 0.0)
    numeric = (4 * slope(-STEP / 2, STEP / 2) - slope(-STEP, STEP)) / 3
    scale = np.maximum(np.maximum(abs(analytic), abs(numeric)), max(1e-3 * largest, 1e-10))
    errors = abs(analytic - numeric) / scale
    wrong = ~(errors <= tolerance)
    kinks = np.zeros_like(wrong)
    if wrong.any():
        kinks = wrong & (abs(slope(-STEP, 0) - slope(0, STEP)) > 1e-2 * scale)
        errors[kinks] = 0
    worst = np.unravel_index(np.argmax(errors), errors.shape)
    return ParameterReport(
        name,
        analytic.shape,
        int(analytic.size - kinks.sum()),
        int(kinks.sum()),
        float(errors[worst]),
        tuple(map(int, worst)),
        float(analytic[worst]),
        float(numeric[worst]),
    )
