"""Verify second derivatives: Hessian-vector products against differences of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from chainrule.autodiff import hvp, value_and_grad
from chainrule.checks.differences import Float64, rounding_of, sizes
from chainrule.checks.gradient_report import (
    Claim,
    GradientMismatch,
    GradientReport,
    ParameterReport,
    array_like,
    look_closer,
    parameter_report,
    rounding_of_claim,
)
from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.utils import arrays
from chainrule.utils.arguments import above_zero, integer
from chainrule.utils.inputs import arrays_of, input_names, one_or_tuple

BOTH = ("params", "x")
A_FEW_ULPS = np.finfo(float).eps * np.array([2.0, 4.0])  # of 1, along the direction


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
    parameters and the input at once: those of what ``predict`` computes, whatever ``net.training``
    is. ``gradgradcheck(grad_f, hvp_f, x)`` checks any function's
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
        Largest relative error that passes, as in :func:`gradcheck`. Entries where the gradient
        jumps are left out as kinks.
    seed : int
        Seed of the direction.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatch
        If an error is larger, or no entry of a parameter could be checked; ``report`` is the
        report.
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
        subject = _of_network(gradient, product, x, y, sample_weight, rng)
    else:
        if not callable(gradient) or not callable(product):
            raise TypeError("gradgradcheck takes (net, loss, x, y) or (gradient, product, x).")
        subject = _of_function(gradient, product, x, rng)
    report = GradientReport(_compare(subject, tolerance), tolerance, "second derivative")
    if not report.passed:
        raise GradientMismatch(report)
    return report


@dataclass
class _Subject:
    """Second derivatives along one direction.

    Attributes
    ----------
    names, shapes
        Of the arrays that the gradient is by.
    gradient : function of a distance along the direction
        Returns the gradient there, as one vector.
    product : array
        The gradient's directional derivative, which is checked.
    off : array
        The product's rounding error.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    gradient: Callable[[float], Float64]
    product: Float64
    off: Float64


def _direction(rng: np.random.Generator, array: Float64) -> Float64:
    """Return a random direction that scales with the values, of powers of two, for exact steps."""
    direction: Float64 = rng.choice([-1.0, -0.5, 0.5, 1.0], array.shape) * sizes(array)
    return direction


def _of_function(
    gradient: Callable[[Float64], ArrayLike],
    product: Callable[[Float64, Float64], ArrayLike],
    x: ArrayLike,
    rng: np.random.Generator,
) -> _Subject:
    point = arrays.real_array(x, "x", np.dtype(float)).copy()
    direction = _direction(rng, point)

    def analytic() -> list[Float64]:
        result = product(point.copy(), direction.copy())
        return [array_like(point, result, "product").reshape(-1)]

    @cache  # for all parts
    def along(distance: float) -> Float64:
        result = gradient(point + distance * direction)
        return array_like(point, result, "gradient").reshape(-1)

    given = analytic()
    (off,) = rounding_of_claim(analytic, given, [point])
    return _Subject(("x",), (point.shape,), along, given[0], off)


def _of_network(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    sample_weight: ArrayLike | None,
    rng: np.random.Generator,
) -> _Subject:
    twin = net.copy(dtype="float64")
    batch = arrays_of(twin.check_input(x, "x").astype(twin.dtype))
    inputs = one_or_tuple(batch)
    without_codes = [i for i in range(len(batch)) if i not in twin.coded_inputs]
    by_inputs = [np.zeros_like(array) for array in batch]
    for i in without_codes:
        by_inputs[i] = _direction(rng, batch[i])
    directions = np.empty_like(twin.params), one_or_tuple(by_inputs)
    for name, view in twin.views(directions[0]).items():
        view[...] = _direction(rng, twin.parameters()[name])
    evaluate = value_and_grad(twin, loss, BOTH)

    def analytic() -> list[Float64]:
        by_params, by_x = hvp(twin, loss, inputs, y, directions, BOTH, sample_weight=sample_weight)
        return [_joined(by_x, by_params)]

    @cache  # for all parts
    def along(distance: float) -> Float64:
        moved = [a + distance * d for a, d in zip(batch, by_inputs, strict=True)]
        at = twin.params + distance * directions[0], one_or_tuple(moved)
        by_params, by_x = evaluate(*at, y, sample_weight)[1]
        return _joined(by_x, by_params)

    given = analytic()
    variables = [*(batch[i] for i in without_codes), twin.params]
    (off,) = rounding_of_claim(analytic, given, variables)
    named = dict(zip(input_names("x", len(batch)), batch, strict=True)) | twin.parameters()
    shapes = tuple(array.shape for array in named.values())
    return _Subject(tuple(named), shapes, along, given[0], off)


def _joined(by_x: Any, by_params: Float64) -> Float64:
    """Return derivatives by the input, or by several, and by the parameters, as one vector."""
    by_inputs = by_x if isinstance(by_x, tuple) else (by_x,)
    return np.concatenate([*(part.reshape(-1) for part in by_inputs), by_params])


def _compare(subject: _Subject, tolerance: float) -> tuple[ParameterReport, ...]:
    """Compare all entries with the slopes of the gradient."""
    gradient, product, off = subject.gradient(0.0), subject.product, subject.off
    reports, begin = [], 0
    for name, shape in zip(subject.names, subject.shapes, strict=True):
        here = slice(begin, begin + prod(shape))
        begin = here.stop
        claim, at = Claim.of(product[here], off[here], tolerance), gradient[here]
        # The rounding error of a sum is that of its largest term. Terms that cancel, as before a
        # normalization, are larger than the sum: their rounding shows in how values differ that
        # are an ulp or two apart, on one side of where they may jump.
        near, far = (subject.gradient(distance)[here] for distance in A_FEW_ULPS)
        noise = abs(far - near).max(initial=0.0)
        largest = max(rounding_of(abs(at).max(initial=0.0)), noise)
        rounding = np.full(at.shape, largest)

        def along(distance: float, here: slice = here) -> tuple[float, Float64]:
            return distance, subject.gradient(distance)[here]

        slope, kinks, _ = look_closer(claim, along, 1.0, at, rounding)
        reports.append(parameter_report(name, shape, claim, slope, kinks, np.arange(at.size)))
    return tuple(reports)
