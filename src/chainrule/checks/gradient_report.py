"""The report of a gradient check, and the conditions to pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.checks.differences import (
    FAR,
    NEAR,
    Float64,
    Function,
    Slope,
    Slopes,
    rounding_of,
    slopes,
)
from chainrule.utils.protocols import as_array

HIDDEN = 0.5  # of an entry: with a larger error of the differences, a wrong sign could be missed
EPSILON = float(np.finfo(float).eps)
TRIALS = 4  # evaluations of a gradient whose variables are changed by rounding errors
SAFETY = 8.0  # the factor of the largest change in these
SMALL = 1e-3  # of a parameter's largest entry: smaller entries are compared relative to this


@dataclass(frozen=True)
class ParameterReport:
    """The result of a check for one parameter.

    Attributes
    ----------
    name, shape
        The parameter; ``"x"`` for the input, ``"output"`` for the loss's gradient by the output
        (``"output 0"``, ``"output 1"``... of several).
    checked : int
        Entries that were compared.
    kinks : int
        Entries left out, because the function has a kink there: its slopes to the left and to
        the right differ, and the gradient is one of them or lies between them.
    hidden : int
        Entries left out, because they are so small, compared with the others or with the rounding
        of the function's value, that even a wrong sign could not be detected.
    error : float
        The worst relative error; NaN if no entry was checked.
    detectable : float
        The smallest relative error that would have been detected in every checked entry. Infinite
        if the gradient is 0, so that no relative error is defined.
    index : tuple of int
        The entry with the worst error.
    analytic, numeric : float
        The given gradient of that entry, and the one by central differences.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    hidden: int
    error: float
    detectable: float
    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def is_unchecked(self) -> bool:
        """Whether it has entries, and none was checked."""
        return self.checked == 0 and 0 not in self.shape


@dataclass(frozen=True, repr=False)
class GradientReport:
    """The result of :func:`gradcheck`.

    Printing it, or showing it in a shell, gives a table: the worst entry by parameter.
    """

    parameters: tuple[ParameterReport, ...]
    tolerance: float
    subject: str = "gradient"

    @property
    def error(self) -> float:
        """The worst relative error of all that was checked."""
        errors = [p.error for p in self.parameters if p.checked]
        return float(np.max(errors, initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether entries of each parameter were checked, and all errors are within the tolerance.

        An error of NaN does not pass.
        """
        return not self._unchecked and self.error <= self.tolerance

    @property
    def _unchecked(self) -> list[ParameterReport]:
        """The parameters of which nothing was checked; all of them if they are empty."""
        anything = any(p.checked for p in self.parameters)
        return [p for p in self.parameters if p.is_unchecked or not anything]

    def __str__(self) -> str:
        title = f"{self.subject.capitalize()} check"
        if not self.error <= self.tolerance:
            lines = [f"{title} FAILED: worst relative error {self.error:.1e}."]
        elif self._unchecked:
            nothing = f"nothing of {_names(self._unchecked)} could be checked"
            lines = [f"{title} INCOMPLETE: no error was found, but {nothing}.", *self._why()]
        else:
            lines = [f"{title} passed: worst relative error {self.error:.1e}."]
        lines.append(
            f"{'parameter':<11} {'checked':>8} {'kinks':>5} {'hidden':>6} {'error':>8} "
            f"{'detectable':>10}  worst entry"
        )
        lines += map(self._line, self.parameters)
        if zero := [p for p in self.parameters if p.detectable == np.inf]:
            lines.append(
                f"The {self.subject} by {_names(zero)} is 0 at all entries, and so are the "
                "differences. Other data shows more."
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _why(self) -> list[str]:
        """Return why nothing could be checked, and a remedy."""
        lines = []
        if hidden := [p for p in self._unchecked if p.hidden]:
            lines += [
                f"Rounding hides the {self.subject} by {_names(hidden)}: no step changes "
                "the computed numbers by clearly more than rounding does.",
                "Scale inputs and targets to numbers near 1, or take others, for which no "
                "activation is saturated.",
            ]
        if kinks := [p for p in self._unchecked if p.kinks]:
            lines.append(
                f"There are kinks at all entries of {_names(kinks)}, such as that of ReLU at 0, or "
                "of a maximum of equal numbers: there is no derivative to compare with. Change "
                "these numbers a little, by random ones of 0.01, say."
            )
        return lines or ["There are no entries."]

    def _line(self, p: ParameterReport) -> str:
        part = f"{p.checked}/{int(np.prod(p.shape))}"
        line = f"{p.name:<11} {part:>8} {p.kinks:>5} {p.hidden:>6}"
        if p.checked == 0:
            return f"{line} {'-':>8} {'-':>10}  none was compared"
        where = f"[{', '.join(map(str, p.index))}]"
        mark = "" if p.error <= self.tolerance else "  <-- wrong"
        detectable = f"{p.detectable:.1e}" if np.isfinite(p.detectable) else "-"
        return (
            f"{line} {p.error:>8.1e} {detectable:>10}  "
            f"{where} {self.subject} {p.analytic:.6g}, differences {p.numeric:.6g}{mark}"
        )


class GradientMismatch(AssertionError):  # noqa: N818 - named for what was found
    """A gradient differs from the central differences, or could not be compared with them.

    ``report`` says where, and by how much or why.
    """

    __module__ = "chainrule"  # as users know it, in tracebacks

    def __init__(self, report: GradientReport) -> None:
        super().__init__(str(report))
        self.report = report


def _names(parameters: Sequence[ParameterReport]) -> str:
    return ", ".join(p.name for p in parameters)


@dataclass(frozen=True)
class Claim:
    """A gradient as it was given, for all entries of a parameter or some.

    Attributes
    ----------
    value : array
    rounding : array
        By how much each may be off.
    largest : float
        The largest entry of the whole parameter; 0 if no entry is more than rounding.
    tolerance : float
    """

    value: Float64
    rounding: Float64
    largest: float
    tolerance: float

    @classmethod
    def of(cls, value: Float64, rounding: Float64, tolerance: float) -> Claim:
        """Return the claim for a whole parameter."""
        is_rounding = bool((abs(value) <= rounding).all())
        largest = 0.0 if is_rounding else float(abs(value).max())
        return cls(value, rounding, largest, tolerance)

    def __getitem__(self, entries: Any) -> Claim:
        return replace(self, value=self.value[entries], rounding=self.rounding[entries])

    def scale(self, slope: Slope) -> Float64:
        """Return what errors are relative to."""
        return np.maximum(np.maximum(abs(self.value), abs(slope.value)), SMALL * self.largest)

    def error(self, slope: Slope) -> Float64:
        """Return the relative errors, but for what rounding explains."""
        with np.errstate(all="ignore"):
            off = abs(self.value - slope.value)
            error = off / self.scale(slope)
            beyond = np.maximum(off - slope.error - self.rounding, 0.0) / self.scale(slope)
            error = np.where(error <= self.tolerance, error, beyond)
        return np.where(off == 0, 0.0, np.where(np.isnan(error), np.nan, error))

    def detectable(self, slope: Slope) -> Float64:
        """Return the relative errors that would have been seen."""
        with np.errstate(all="ignore"):
            scale = np.where(self._is_zero, SMALL * self.largest, abs(self.value))
            off = slope.error + self.rounding + self.tolerance * self.scale(slope)
            return np.where(off == 0, 0.0, off / scale)

    def agrees(self, slope: Slope) -> NDArray[np.bool_]:
        """Return where the slope agrees with the gradient and is large enough to show its sign."""
        return (self.error(slope) <= self.tolerance) & ~self.is_hidden(slope)

    def is_hidden(self, slope: Slope) -> NDArray[np.bool_]:
        """Tell which entries are so small that a wrong sign could go unseen."""
        hidden: NDArray[np.bool_] = ~(self.detectable(slope) <= HIDDEN) & ~np.isnan(self.value)
        return hidden & bool(self.largest)  # where all are 0, there are no signs

    def is_kink(self, slopes: Slopes) -> NDArray[np.bool_]:
        """Tell where a kink, or a jump, explains that the slope is another or is not seen."""
        slope = slopes.central
        slack = self.rounding + self.tolerance * self.scale(slope)
        kink = slopes.sides_differ(slack) & slopes.are_around(self.value, slack)
        jump = slopes.jumps & (self.is_hidden(slope) | (self.largest == 0))
        return (~(self.error(slope) <= self.tolerance) & kink) | jump

    def is_beyond_kink(self, slopes: Slopes) -> NDArray[np.bool_]:
        """Tell where there is a kink, but the gradient is not between the slopes of both sides.

        It may still be right: where several kinks meet, as where inputs are 0, the slopes of both
        sides are sums of other combinations of branches than the gradient.
        """
        slack = self.rounding + self.tolerance * self.scale(slopes.central)
        return slopes.sides_differ(slack) & ~slopes.are_around(self.value, slack)

    @property
    def _is_zero(self) -> NDArray[np.bool_]:
        """Whether rounding is all there is of an entry."""
        return abs(self.value) <= self.rounding


def array_like(x: Float64, given: ArrayLike, what: str) -> Float64:
    """Return what a user's function gave, as an array; ValueError unless it has x's shape."""
    array = np.array(as_array(given, f"The {what}"), float)
    if array.shape != x.shape:
        raise ValueError(
            f"The {what} must have x's shape, {x.shape}, but its shape is {array.shape}."
        )
    return array


def rounding_of_claim(
    gradient: Callable[[], list[Float64]], given: list[Float64], variables: Sequence[Float64]
) -> list[Float64]:
    """Return by how much each entry of a gradient changes when its variables change by an ulp."""
    rng = np.random.default_rng(0)
    off = [rounding_of(array) for array in given]
    before = [array.copy() for array in variables]
    for _ in range(TRIALS):
        for array, exact in zip(variables, before, strict=True):
            array[...] = exact * (1 + rng.choice([-2.0, 2.0], array.shape) * EPSILON)
        moved = gradient()
        off = [
            np.maximum(most, abs(new - old))
            for most, new, old in zip(off, moved, given, strict=True)
        ]
    for array, exact in zip(variables, before, strict=True):
        array[...] = exact
    return [SAFETY * most for most in off]


class CloserLook(NamedTuple):
    """The slopes that a claim is about, by many steps, and where there are kinks.

    ``beyond_kinks`` is as of :meth:`Claim.is_beyond_kink`.
    """

    slope: Slope
    kinks: NDArray[np.bool_]
    beyond_kinks: NDArray[np.bool_]


def look_closer(
    claim: Claim, function: Function, size: float, values: Float64, rounding: Float64
) -> CloserLook:
    """Look at a claim by many steps.

    The arguments are those of :func:`~chainrule.checks.differences.slopes`.
    """
    near = slopes(function, size, values, rounding, NEAR)
    kinks, slope = claim.is_kink(near), near.central
    hidden = claim.is_hidden(slope) & ~kinks
    if hidden.any():
        # Far away a function may behave otherwise: differences there can confirm, but not refute.
        far = slopes(function, size, values, rounding, FAR).central
        confirmed = hidden & claim.agrees(far)
        slope = Slope(*(np.where(confirmed, *pair) for pair in zip(far, slope, strict=True)))
    return CloserLook(slope, kinks, claim.is_beyond_kink(near))


def parameter_report(
    name: str,
    shape: tuple[int, ...],
    claim: Claim,
    slope: Slope,
    kinks: NDArray[np.bool_],
    entries: NDArray[np.int64],
) -> ParameterReport:
    """Return what was found for some entries of a parameter, given by their places in it."""
    errors = claim.error(slope)
    wrong = ~(errors <= claim.tolerance) & ~kinks
    hidden = claim.is_hidden(slope) & ~kinks & ~wrong
    checked = ~kinks & ~hidden
    if not checked.any():
        left_out = int(kinks.sum()), int(hidden.sum())
        return ParameterReport(name, shape, 0, *left_out, np.nan, np.nan, (), np.nan, np.nan)
    # A NaN counts as the worst.
    worst = int(np.argmax(np.where(checked, np.nan_to_num(errors, nan=np.inf), -1.0)))
    return ParameterReport(
        name,
        shape,
        int(checked.sum()),
        int(kinks.sum()),
        int(hidden.sum()),
        float(errors[worst]),
        float(claim.detectable(slope)[checked].max()),
        tuple(int(i) for i in np.unravel_index(entries[worst], shape)),
        float(claim.value[worst]),
        float(slope.value[worst]),
    )
