"""Verify gradients against central differences: a network's, or those of any function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import arrays
from chainrule.arguments import above_zero, integer
from chainrule.arrays import FloatArray
from chainrule.errors import GradientMismatch
from chainrule.losses import Loss
from chainrule.network import Sequential
from chainrule.protocols import as_array

__all__ = ["GradientReport", "ParameterReport", "gradcheck"]

STEP = 1e-5  # near the cube root of float64's epsilon: least error of a central difference
ALL_BELOW = 2000  # parameters; of larger networks a random part is checked
ENTRIES_OF_EACH = 50  # ... so many entries of each parameter
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ParameterReport:
    """What the check found for one parameter.

    Attributes
    ----------
    name, shape
        The parameter; ``"x"`` for the input.
    checked : int
        Entries that were compared.
    kinks : int
        Entries left out, because the function has a kink there: its slopes to the left and to
        the right differ, and the gradient is one of them or lies between them.
    error : float
        The worst relative error.
    index : tuple of int
        The entry that has it,
    analytic, numeric : float
        its gradient as given, and as central differences say.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    error: float
    index: tuple[int, ...]
    analytic: float
    numeric: float


@dataclass(frozen=True)
class GradientReport:
    """The result of :func:`gradcheck`; printing it gives a table, worst entry by parameter."""

    parameters: tuple[ParameterReport, ...]
    tolerance: float
    subject: str = "gradient"

    @property
    def error(self) -> float:
        """The worst relative error of all."""
        return float(np.max([parameter.error for parameter in self.parameters], initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance; a NaN is not."""
        return all(parameter.error <= self.tolerance for parameter in self.parameters)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        title = f"{self.subject.capitalize()} check {verdict}"
        lines = [f"{title}: worst relative error {self.error:.1e}."]
        lines.append(f"{'parameter':<14} {'checked':>9} {'kinks':>5} {'error':>8}  worst entry")
        for p in self.parameters:
            mark = "" if p.error <= self.tolerance else "  <-- wrong"
            size = int(np.prod(p.shape))
            where = f"[{', '.join(map(str, p.index))}]"
            lines.append(
                f"{p.name:<14} {f'{p.checked}/{size}':>9} {p.kinks:>5} {p.error:>8.1e}  "
                f"{where} {self.subject} {p.analytic:.6g}, differences {p.numeric:.6g}{mark}"
            )
        return "\n".join(lines)


@overload
def gradcheck(
    function: Sequential,
    gradient: Loss,
    x: ArrayLike,
    y: ArrayLike | tuple[ArrayLike, ...],
    *,
    sample_weight: ArrayLike | None = ...,
    tolerance: float = ...,
    seed: int = ...,
) -> GradientReport: ...
@overload
def gradcheck(
    function: Callable[[Float64], float],
    gradient: Callable[[Float64], ArrayLike],
    x: ArrayLike,
    *,
    tolerance: float = ...,
    seed: int = ...,
) -> GradientReport: ...
def gradcheck(
    function: Any,
    gradient: Any,
    x: ArrayLike,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Compare a gradient with central differences in float64.

    ``gradcheck(net, loss, x, y)`` checks a copy of the network: its gradients by the input and by
    all parameters; in a network of more than 2,000 parameters, by 50 entries of each, drawn with
    ``seed``. ``gradcheck(f, grad_f, x)`` checks any function of an array.

    Parameters
    ----------
    function : Sequential, or function of an array that returns a float
    gradient : Loss, or function of an array that returns an array of its shape
    x : array
        The batch, or the point at which to check.
    y, sample_weight : arrays
        What the loss takes.
    tolerance : float
        Largest relative error that passes. Errors are relative to the entry, or to a thousandth
        of the largest entry of the whole gradient where the entry is smaller than that. What
        rounding does to the differences is not counted.
    seed : int
        For the choice of entries.

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
    >>> cr.gradcheck(net, cr.MSELoss(), np.ones((5, 3)), np.zeros((5, 2))).passed
    True
    >>> cr.gradcheck(lambda x: (x**3).sum(), lambda x: [3.0, 8.0], [1.0, 2.0])
    Traceback (most recent call last):
        ...
    chainrule.errors.GradientMismatch: Gradient check FAILED: worst relative error 3.3e-01.
    parameter        checked kinks    error  worst entry
    x                    2/2     0  3.3e-01  [1] gradient 8, differences 12  <-- wrong
    """
    tolerance, seed = above_zero(tolerance, "tolerance"), integer(seed, "seed", least=0)
    if isinstance(function, Sequential):
        if not isinstance(gradient, Loss):
            raise TypeError(f"gradcheck(net, loss, x, y) needs a loss, not {gradient!r}.")
        if y is None:
            raise TypeError("gradcheck(net, loss, x, y) needs y.")
        checks = _network_checks(function, gradient, x, y, sample_weight, seed)
    else:
        if not callable(function) or not callable(gradient):
            raise TypeError("gradcheck takes (net, loss, x, y) or (function, gradient, x).")
        checks = [_function_check(function, gradient, x)]
    largest = max((float(np.abs(check.analytic).max(initial=0)) for check in checks), default=0.0)
    report = GradientReport(tuple(check.run(largest, tolerance) for check in checks), tolerance)
    if not report.passed:
        raise GradientMismatch(report)
    return report


@dataclass
class _Check:
    """One array, the function's value when it is changed in place, and the gradient to verify."""

    name: str
    array: Float64
    analytic: Float64
    value: Callable[[], float]
    rounding: float  # of the value
    entries: NDArray[np.int64]

    def run(self, largest: float, tolerance: float) -> ParameterReport:
        """Compare every entry; ``largest`` is the largest entry of the whole gradient."""
        kinks, worst = 0, (0.0, 0, 0.0)
        gradient = self.analytic.reshape(-1)
        for entry in self.entries:
            numeric = self._slope(entry, -STEP, STEP)
            difference = abs(gradient[entry] - numeric)
            scale = max(abs(gradient[entry]), abs(numeric), 1e-3 * largest, 1e-10)
            if difference > tolerance * scale:  # look closer
                numeric = (4 * self._slope(entry, -STEP / 2, STEP / 2) - numeric) / 3
                difference = max(0.0, abs(gradient[entry] - numeric) - 3 * self.rounding / STEP)
                if difference > tolerance * scale and self._is_kink(
                    entry, gradient[entry], tolerance * scale
                ):
                    kinks += 1
                    continue
            if not difference / scale < worst[0]:  # so that a NaN counts as the worst
                worst = (float(difference / scale), int(entry), float(numeric))
        error, entry, numeric = worst
        index = tuple(int(i) for i in np.unravel_index(entry, self.array.shape))
        return ParameterReport(
            self.name,
            self.array.shape,
            len(self.entries) - kinks,
            kinks,
            error,
            index,
            float(gradient[entry]) if gradient.size else 0.0,
            numeric,
        )

    def _value_beside(self, entry: int, step: float) -> float:
        flat = self.array.reshape(-1)
        before = flat[entry]
        flat[entry] = before + step
        value = self.value()
        flat[entry] = before
        return value

    def _slope(self, entry: int, left: float, right: float) -> float:
        at = self.array.reshape(-1)[entry]
        rise = self._value_beside(entry, right) - self._value_beside(entry, left)
        return float(rise / ((at + right) - (at + left)))

    def _is_kink(self, entry: int, analytic: float, slack: float) -> bool:
        """Tell whether a kink explains why the gradient is not what central differences say.

        It then is the slope on one side, the other being spoiled by a kink there; or lies between
        the slopes, if the kink is where the entry stands. Kinks on both sides need smaller steps.
        """
        for h in (STEP, STEP / 8, STEP / 64):
            # Of second order, so that the two slopes of a smooth function are the same.
            left = 2 * self._slope(entry, -h / 2, 0) - self._slope(entry, -h, 0)
            right = 2 * self._slope(entry, 0, h / 2) - self._slope(entry, 0, h)
            room = slack + 8 * self.rounding / h
            if min(abs(analytic - left), abs(analytic - right)) <= room:
                return True
            if abs(left - right) <= 2 * room:
                return False
        return min(left, right) <= analytic <= max(left, right)


def _function_check(
    function: Callable[[Float64], float], gradient: Callable[[Float64], ArrayLike], x: ArrayLike
) -> _Check:
    point = arrays.real_array(x, "x", np.dtype(float)).copy()
    analytic = np.asarray(as_array(gradient(point.copy()), "The gradient"), float)
    if analytic.shape != point.shape:
        raise ValueError(
            f"The gradient must have x's shape, {point.shape}, but its shape is {analytic.shape}."
        )

    def value() -> float:
        return float(function(point.copy()))

    return _Check("x", point, analytic, value, _rounding(value()), np.arange(point.size))


def _network_checks(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    sample_weight: ArrayLike | None,
    seed: int,
) -> list[_Check]:
    twin = net.copy(dtype="float64")
    batch = twin.check_input(x, "x").astype(twin.dtype, order="C")

    def value() -> float:
        twin.restart_masks()
        return loss(twin.forward(batch), y, sample_weight)[0]

    twin.restart_masks()
    output = twin.forward(batch)
    first, d_out = loss(output, y, sample_weight)
    d_batch = twin.backward(d_out)
    outputs = output if isinstance(output, tuple) else (output,)
    rounding = _rounding(max(first, *(float(np.abs(out).max()) for out in outputs)))
    rng = np.random.default_rng(seed)
    everything = twin.params.size <= ALL_BELOW

    def entries(array: FloatArray) -> NDArray[np.int64]:
        if everything or array.size <= ENTRIES_OF_EACH:
            return np.arange(array.size)
        return np.sort(rng.choice(array.size, ENTRIES_OF_EACH, replace=False))

    gradients = {name: view.copy() for name, view in twin.gradients().items()}
    checks = [_Check("x", batch, d_batch, value, rounding, entries(batch))]
    for name, view in twin.parameters().items():
        checks.append(_Check(name, view, gradients[name], value, rounding, entries(view)))
    return checks


def _rounding(magnitude: float) -> float:
    """Return by how much a value may be off that is computed from numbers of this size."""
    return float(np.spacing(abs(magnitude)))
