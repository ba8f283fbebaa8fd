"""Verify gradients against central differences: a network's, or those of any function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        at each entry, or its changes are smaller than rounding. The message names the parameter and
        a remedy; ``report`` is the report.
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
        checks = _network_checks(function, gradient, x, y, sample_weight, seed)
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
        slope, is_kink = look_closer(claim, beside, size, at, rounding)
        return slope, bool(is_kink)


def _function_check(
    function: Callable[[Float64], float], gradient: Callable[[Float64], ArrayLike], x: ArrayLike
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
    return _Check("x", point, given, off, value, rounding, np.arange(point.size))


def _network_checks(
    net: Sequential,
    loss: Loss,
    x: ArrayLike,
    y: Any,
    sample_weight: ArrayLike | None,
    seed: int,
) -> list[_Check]:
    twin = net.copy(dtype="float64")
    batch = arrays_of(twin.check_input(x, "x").astype(twin.dtype, order="C"))
    rng = np.random.default_rng(seed)
    everything = twin.params.size <= ALL_BELOW

    def entries(array: FloatArray) -> NDArray[np.int64]:
        if everything or array.size <= ENTRIES_OF_EACH:
            return np.arange(array.size)
        return np.sort(rng.choice(array.size, ENTRIES_OF_EACH, replace=False))

    def forward() -> list[Float64]:
        twin.reset_dropout_masks()
        return _as_list(twin.forward(one_or_tuple(batch)))

    shape = one_or_tuple([array.shape[1:] for array in batch])
    with borrowed(twin, plain_plan, shape, len(batch[0]), loss=loss, retain=False) as all_in:
        all_in.prepare()  # compiles for forward, loss and backward together, with one message
    outputs = forward()
    without_codes = [i for i in range(len(batch)) if i not in twin.coded_inputs]

    def of_loss() -> tuple[float, Any]:
        return loss(one_or_tuple(outputs), y, sample_weight)

    d_outputs = _as_list(of_loss()[1])

    # Instead of the loss: the loss's gradient by the outputs times the outputs. It has the same
    # derivatives, and is not so large that rounding hides its changes.
    def value() -> float:
        pairs = zip(d_outputs, forward(), strict=True)
        return sum(float(np.vdot(d_output, output)) for d_output, output in pairs)

    def gradient() -> list[Float64]:
        forward()
        d_batch = _as_list(twin.backward(one_or_tuple(d_outputs)))
        of_x = [d_batch[i] for i in without_codes]
        return [*of_x, *(view.copy() for view in twin.gradients().values())]

    pairs = zip(d_outputs, outputs, strict=True)
    rounding = float(rounding_of(sum(np.vdot(abs(d), abs(output)) for d, output in pairs)))
    names = input_names("x", len(batch))
    of_x = {names[i]: batch[i] for i in without_codes}
    arrays_by_name = {**of_x, **twin.parameters()}
    given = gradient()
    off = rounding_of_claim(gradient, given, [*of_x.values(), twin.params])
    checks = [
        _Check(name, array, analytic, may_be, value, rounding, entries(array))
        for (name, array), analytic, may_be in zip(arrays_by_name.items(), given, off, strict=True)
    ]
    off = rounding_of_claim(lambda: _as_list(of_loss()[1]), d_outputs, outputs)
    rounding = float(rounding_of(of_loss()[0]))
    for i, (output, d_output, may_be) in enumerate(zip(outputs, d_outputs, off, strict=True)):
        name = "output" if len(outputs) == 1 else f"output {i}"
        places = entries(output)
        checks.append(
            _Check(name, output, d_output, may_be, lambda: of_loss()[0], rounding, places)
        )
    return checks


def _as_list(outputs: Any) -> list[Float64]:
    """Return a network's output, or outputs, as a list."""
    return list(outputs) if isinstance(outputs, tuple) else [outputs]
