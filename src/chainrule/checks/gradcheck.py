"""Verify gradients against central differences: a network's, or those of any function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.autodiff.machines import borrowed
from chainrule.autodiff.plans import plain_plan
from chainrule.checks.differences import Float64, Slope, rounding_of, short_slope, sizes
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
from chainrule.utils.arguments import above_zero, integer, shortened
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import arrays_of, input_names, one_or_tuple

ALL_BELOW = 2000  # the most parameters of a network of which all entries are checked
ENTRIES_OF_EACH = 50  # entries of each parameter in larger networks
BESIDE = 1e-3  # how far away another point is, in sizes of the largest value: many short steps
CLEAR = 1e-3  # the relative error that one step must be able to detect, or more are tried


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

    ``gradcheck(net, loss, x, y)`` checks a copy of the network: its gradients by the input (unless
    that holds codes) and by all parameters, and the loss's by the output; in a network of more than
    2,000 parameters, 50 random entries of each. ``gradcheck(f, grad_f, x)`` checks any function of
    an array. Steps scale with the values, and if one step is not accurate enough, many are tried.

    A network is checked as ``net.training`` says, as PyTorch's function of this name does. While
    that is True, as at first, these are the gradients of a step of :func:`fit`, and of
    ``net.backward``: :class:`BatchNorm` takes the statistics of the batch, and what is random, as
    in :class:`Dropout`, stays the same. After ``net.training = False``, they are those of what
    ``predict`` computes, as :func:`value_and_grad` returns them.

    Parameters
    ----------
    function : Sequential, or function of an array that returns a float
    gradient : Loss, or function of an array that returns an array of its shape
    x : array
        The batch (a tuple of arrays for :class:`Inputs`), or the point at which to check.
    y, sample_weight : arrays
        What the loss takes.
    tolerance : float
        Largest relative error that passes. Errors are relative to the entry, or to a thousandth
        of its parameter's largest entry if the entry is smaller than that. The rounding error of
        the differences is subtracted; the report has the smallest detectable error.
    seed : int
        Seed of the choice of entries.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatch
        If an error is larger, or no entry of a parameter could be checked: the function has a kink
        at each entry, or its changes are smaller than rounding. The message says which of both it
        is, names the parameter and a remedy; ``report`` is the report.
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
    chainrule.GradientMismatch: Gradient check FAILED: worst relative error 3.3e-01.
    parameter    checked kinks hidden    error detectable  worst entry
    x                2/2     0      0  3.3e-01    1.5e-06  [1] gradient 8, differences 12  <-- wrong
    """
    tolerance, seed = above_zero(tolerance, "tolerance"), integer(seed, "seed", least=0)
    if isinstance(function, Sequential):
        if not isinstance(gradient, Loss):
            raise TypeError(f"gradcheck(net, loss, x, y) needs a loss, not {shortened(gradient)}.")
        if y is None:
            raise TypeError("gradcheck(net, loss, x, y) needs y.")
        checks = _NetworkChecks(function, gradient, x, y, sample_weight, seed).checks
    else:
        if not callable(function) or not callable(gradient):
            raise TypeError("gradcheck takes (net, loss, x, y) or (function, gradient, x).")
        checks = [_function_check(function, gradient, x)]
    reports = tuple(check.run(tolerance) for check in checks)
    report = GradientReport(reports, tolerance)
    if not report.passed:
        raise GradientMismatch(report)
    return report


@dataclass
class _Check:
    """An array that is changed in place, the function's value, and the gradient to verify."""

    name: str
    array: Float64
    analytic: Float64
    off: Float64  # its rounding error
    value: Callable[[], float]
    rounding: float  # the value's rounding error
    entries: NDArray[np.int64]
    beside: Callable[[], _Check] | None  # the same at a point close by, without its kinks

    def run(self, tolerance: float) -> ParameterReport:
        """Compare the entries with the slopes of the value."""
        whole = Claim.of(self.analytic.reshape(-1), self.off.reshape(-1), tolerance)
        claim = whole[self.entries]
        size = sizes(self.array).reshape(-1)
        at = np.array(self.value())
        found = [
            self._compare(entry, size[entry], claim[i], at) for i, entry in enumerate(self.entries)
        ]
        slope = Slope(*np.array([s for s, _ in found], float).reshape(-1, 2).T)
        kinks = np.array([is_kink for _, is_kink in found], bool)
        return parameter_report(self.name, self.array.shape, claim, slope, kinks, self.entries)

    def _compare(self, entry: int, size: float, claim: Claim, at: Float64) -> tuple[Slope, bool]:
        """Return the slope along one entry, and whether it has a kink there."""
        rounding = np.array(self.rounding)
        flat = self.array.reshape(-1)
        before = flat[entry]

        def beside(distance: float) -> tuple[float, Float64]:
            flat[entry] = before + distance
            try:
                return float(flat[entry] - before), np.array(self.value())
            finally:
                flat[entry] = before

        slope = short_slope(beside, size, at, rounding)
        if claim.agrees(slope) and claim.detectable(slope) <= CLEAR:
            return slope, False
        slope, kink, is_beyond_kink = look_closer(claim, beside, size, at, rounding)
        if is_beyond_kink and self.beside is not None:
            return slope, self.beside().is_right(entry, claim.tolerance)
        return slope, bool(kink)

    def is_right(self, entry: int, tolerance: float) -> bool:
        """Tell whether the gradient of one entry agrees with the slope."""
        claim = Claim.of(self.analytic.reshape(-1), self.off.reshape(-1), tolerance)[entry]
        size = sizes(self.array).reshape(-1)[entry]
        slope, _ = self._compare(entry, size, claim, np.array(self.value()))
        return bool(claim.error(slope) <= tolerance)


def _moved(array: FloatArray) -> Float64:
    """Return an array with a little noise."""
    noise = np.random.default_rng(0).uniform(-1, 1, array.shape)
    moved: Float64 = array + BESIDE * sizes(array.astype(float)).max(initial=0.0) * noise
    return moved


def _function_check(
    function: Callable[[Float64], float],
    gradient: Callable[[Float64], ArrayLike],
    x: ArrayLike,
    *,
    is_moved: bool = False,
) -> _Check:
    point = arrays.real_array(x, "x", np.dtype(float)).copy()

    def analytic() -> list[Float64]:
        return [array_like(point, gradient(point.copy()), "gradient")]

    def value() -> float:
        result = function(point.copy())
        try:
            return float(result)
        except (TypeError, ValueError):
            raise TypeError(
                f"The function must return a number, not {shortened(result)}."
            ) from None

    (given,) = analytic()
    (off,) = rounding_of_claim(analytic, [given], [point])
    rounding = float(rounding_of(np.array(value())))
    beside = None
    if not is_moved:
        beside = cache(lambda: _function_check(function, gradient, _moved(point), is_moved=True))
    return _Check("x", point, given, off, value, rounding, np.arange(point.size), beside)


class _NetworkChecks:
    """The checks of a network's gradients, and of its loss's: one for each array."""

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        x: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        seed: int,
        *,
        is_moved: bool = False,
    ) -> None:
        twin = self.twin = net.copy(dtype="float64")
        self.loss, self.y, self.sample_weight = loss, y, sample_weight
        self.batch = arrays_of(twin.check_input(x, "x").astype(twin.dtype, order="C"))
        self.seed, self.is_moved = seed, is_moved
        self.rng = np.random.default_rng(seed)
        self.without_codes = [i for i in range(len(self.batch)) if i not in twin.coded_inputs]
        shape = one_or_tuple([array.shape[1:] for array in self.batch])
        plan = twin, plain_plan, shape, len(self.batch[0])
        with borrowed(*plan, loss=loss, retain=False) as all_in:
            all_in.prepare()  # compiles for forward, loss and backward together, with one message
        self.outputs = self.forward()
        self.d_outputs = _as_list(self.of_loss()[1])
        self.checks: list[_Check] = []
        self._check_network()
        self._check_loss()

    def forward(self) -> list[Float64]:
        self.twin.reset_dropout_masks()
        return _as_list(self.twin.forward(one_or_tuple(self.batch)))

    def of_loss(self) -> tuple[float, Any]:
        return self.loss(one_or_tuple(self.outputs), self.y, self.sample_weight)

    def value(self) -> float:
        """Return, instead of the loss, its gradient by the outputs times the outputs.

        It has the same derivatives, and is not so large that rounding hides its changes.
        """
        pairs = zip(self.d_outputs, self.forward(), strict=True)
        return sum(float(np.vdot(d_output, output)) for d_output, output in pairs)

    def gradient(self) -> list[Float64]:
        self.forward()
        d_batch = _as_list(self.twin.backward(one_or_tuple(self.d_outputs)))
        of_x = [d_batch[i] for i in self.without_codes]
        return [*of_x, *(view.copy() for view in self.twin.gradients().values())]

    def _check_network(self) -> None:
        twin = self.twin
        names = input_names("x", len(self.batch))
        of_x = {names[i]: self.batch[i] for i in self.without_codes}
        pairs = zip(self.d_outputs, self.outputs, strict=True)
        rounding = float(rounding_of(sum(np.vdot(abs(d), abs(output)) for d, output in pairs)))
        given = self.gradient()
        off = rounding_of_claim(self.gradient, given, [*of_x.values(), twin.params])
        arrays_by_name = {**of_x, **twin.parameters()}
        for (name, array), g, e in zip(arrays_by_name.items(), given, off, strict=True):
            self._append(name, array, g, e, self.value, rounding)

    def _check_loss(self) -> None:
        off = rounding_of_claim(lambda: _as_list(self.of_loss()[1]), self.d_outputs, self.outputs)
        rounding = float(rounding_of(self.of_loss()[0]))
        for i, (output, g, e) in enumerate(zip(self.outputs, self.d_outputs, off, strict=True)):
            name = "output" if len(self.outputs) == 1 else f"output {i}"
            self._append(name, output, g, e, lambda: self.of_loss()[0], rounding)

    def _append(
        self,
        name: str,
        array: Float64,
        analytic: Float64,
        off: Float64,
        value: Callable[[], float],
        rounding: float,
    ) -> None:
        entries = np.arange(array.size)
        if self.twin.params.size > ALL_BELOW and array.size > ENTRIES_OF_EACH:
            entries = np.sort(self.rng.choice(array.size, ENTRIES_OF_EACH, replace=False))
        i = len(self.checks)
        beside = None if self.is_moved else lambda: self.beside.checks[i]
        self.checks.append(_Check(name, array, analytic, off, value, rounding, entries, beside))

    @cached_property
    def beside(self) -> _NetworkChecks:
        """The checks at another point."""
        net = self.twin.copy()
        net.params = _moved(net.params)
        x = [_moved(a) if i in self.without_codes else a for i, a in enumerate(self.batch)]
        data = one_or_tuple(x), self.y, self.sample_weight
        return _NetworkChecks(net, self.loss, *data, self.seed, is_moved=True)


def _as_list(outputs: Any) -> list[Float64]:
    """Return a network's output, or outputs, as a list."""
    return list(outputs) if isinstance(outputs, tuple) else [outputs]
