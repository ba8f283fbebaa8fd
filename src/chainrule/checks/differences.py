"""Slopes by finite differences, of values as functions of one number, with error bounds.

No step suits every function: a long one includes the curvature, and with a short one rounding
dominates. So slopes are computed with many steps, each an eighth of the one before, and two
neighbours are extrapolated (Richardson). The differences between the slopes of shorter steps, times
the step, estimate the rounding of the values, however these are computed.

References
----------
Ridders, *Accurate computation of F'(x) and F'(x) F''(x)*, Advances in Engineering Software 4, 1982.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
# Takes a distance; returns the distance after rounding, and the values there.
Function = Callable[[float], tuple[float, Float64]]

FACTOR = 8.0  # from a step to the next
SAFETY = 2.0
ULPS = 4.0  # the least error of a value, in units in the last place
SIGNIFICANT = 0.1  # the relative error of a slope that is distinct from 0
JUMP = 1e3  # a change within a step of so many times the rounding is a jump
# Steps in sizes of the values: from a quarter to a few units in the last place; and longer ones,
# for functions that hardly change.
NEAR = np.exp2(-np.arange(2.0, 51.0, 3.0))
FAR = np.exp2(-np.arange(-79.0, 51.0, 3.0))
SHORT = 2.0**-17  # near the cube root of float64's epsilon, which minimizes a difference's error


class Slope(NamedTuple):
    """Slopes of some values, with error bounds."""

    value: Float64
    error: Float64


class Slopes(NamedTuple):
    """The slopes of some values.

    Attributes
    ----------
    central, left, right : Slope
        Two-sided and one-sided slopes.
    jumps : array of bool
        Where values seem to jump: they change by far more than rounding, however short the step.
    """

    central: Slope
    left: Slope
    right: Slope
    jumps: NDArray[np.bool_]

    def sides_differ(self, slack: Float64) -> NDArray[np.bool_]:
        """Tell where there is a kink: the slopes of both sides differ by more than their errors."""
        differ = abs(self.left.value - self.right.value)
        seen: NDArray[np.bool_] = differ > 2 * (self.left.error + self.right.error + slack)
        return seen

    def are_around(self, slope: Float64, slack: Float64) -> NDArray[np.bool_]:
        """Tell where ``slope`` is one of both sides' slopes, or lies between them."""
        sides = self.left, self.right
        low = np.minimum(*(side.value - side.error for side in sides)) - slack
        high = np.maximum(*(side.value + side.error for side in sides)) + slack
        return (low <= slope) & (slope <= high)


def sizes(array: Float64) -> Float64:
    """Return the magnitudes of an array's entries as powers of two, to scale steps by.

    The least magnitude is a thousandth of the largest; it is 1 if all entries are 0.

    >>> sizes(np.array([3.0, 0.0, -1e-9])).tolist(), sizes(np.zeros(2)).tolist()
    ([4.0, 0.00390625, 0.00390625], [1.0, 1.0])
    """
    least = 1e-3 * float(abs(array).max(initial=0.0)) or 1.0
    size: Float64 = np.exp2(np.ceil(np.log2(np.maximum(abs(array), least))))
    return size


def rounding_of(values: ArrayLike) -> Float64:
    """Return the rounding errors of numbers of this size: a unit in the last place."""
    spacing: Float64 = np.spacing(np.abs(values))
    return spacing


def short_slope(function: Function, size: float, values: Float64, rounding: Float64) -> Slope:
    """Return the slope at 0 with one step that suits most functions, without error of curvature."""
    (right, left), (above, below) = _along(function, SHORT * size * np.array([1, -1]), values)
    return Slope((above - below) / (right - left), 2 * ULPS * rounding / (right - left))


def slopes(
    function: Function, size: float, values: Float64, rounding: Float64, steps: Float64
) -> Slopes:
    """Return the slopes at 0, where a function has these values.

    Steps at which the function raises an error, or is not finite, are not used.
    """
    right, above = _along(function, size * steps, values)
    left, below = _along(function, -size * steps, values)
    with np.errstate(all="ignore"):
        left, right = (steps.reshape(-1, *[1] * values.ndim) for steps in (left, right))
        width = (right - left) / 2
        central, jumps = _best((above - below) / (2 * width), width, rounding, FACTOR**2)
        of_left, _ = _best((below - values) / left, width, rounding, FACTOR)
        of_right, _ = _best((above - values) / right, width, rounding, FACTOR)
        return Slopes(central, of_left, of_right, jumps)


def _along(function: Function, distances: Float64, values: Float64) -> tuple[Float64, Float64]:
    """Return the distances as they are after rounding, and the values there."""
    reached = np.array(distances)
    found = np.full((len(distances), *values.shape), np.nan)
    for i, distance in enumerate(distances):
        try:
            with np.errstate(all="ignore"):
                reached[i], found[i] = function(float(distance))
        except (ArithmeticError, ValueError):  # outside the function's domain
            continue
    return reached, found


def _best(
    differences: Float64, steps: Float64, rounding: Float64, power: float
) -> tuple[Slope, NDArray[np.bool_]]:
    """Return the best slope of all steps, and where the values jump.

    ``power`` is the factor by which the error of a difference decreases from a step to the next.
    """
    slopes = (power * differences[1:] - differences[:-1]) / (power - 1)
    shorter = steps[1:-1]
    change = abs(np.diff(slopes, axis=0)) * shorter
    change[np.isnan(change)] = np.inf
    # The largest change at a step or any shorter one; the shortest ones may agree by accident.
    noise = np.maximum(np.median(change[-3:], axis=0), ULPS * rounding)
    change = np.maximum.accumulate(change[::-1])[::-1]
    slopes, errors = slopes[:-1], SAFETY * np.maximum(change, noise) / shorter
    relative = np.where(errors == 0, 0.0, errors / abs(slopes))
    relative[np.isnan(relative)] = np.inf
    significant = (relative < SIGNIFICANT).any(axis=0)
    best = np.where(significant, relative.argmin(axis=0), errors.argmin(axis=0))

    def at(array: Float64) -> Float64:
        chosen: Float64 = np.take_along_axis(array, best[np.newaxis], 0)[0]
        return chosen

    jumps = at(change) > JUMP * ULPS * rounding
    # At a jump, slopes increase with shorter steps, so their differences are part of the error.
    shorter_ones = np.arange(len(slopes)).reshape(-1, *[1] * best.ndim) > best
    off = np.where(shorter_ones & ~np.isnan(slopes), abs(slopes - at(slopes)), 0.0).max(axis=0)
    error = np.where(jumps & ~significant, np.maximum(SAFETY * off, at(errors)), at(errors))
    return Slope(at(slopes), error), jumps
