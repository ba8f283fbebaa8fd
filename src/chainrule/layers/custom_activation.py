"""Activation: a custom activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.backends import is_compiled
from chainrule.kernels import context
from chainrule.layers.activation_derivatives import Derivative, activation
from chainrule.layers.custom_functions import (
    function_name,
    parameter_names,
)
from chainrule.layers.layer import Layer
from chainrule.operations.operation import Function, Tensor
from chainrule.plan.argument import rows_of
from chainrule.plan.builder import PlanBuilder
from chainrule.plan.call import Call

# Where a function that has no derivative with it must be what its complex step says.
SAMPLES = np.concatenate([np.linspace(-3.1, 3.0, 40), [-30.0, 30.0, -300.0, 300.0]])
# Differences over the first of these steps are precise; the smaller ones are for what turns fast.
DIFFERENCES = 1e-6, 1e-8, 1e-10, 1e-12
STEP = 1e-100
MOST_CHECKED = 128  # functions that are remembered
TOLERANCE = 1e-4  # a complex step is right to 1e-15, or wrong in the first digit


@dataclass(frozen=True)
class Activation(Layer):
    """An activation of your own, from a function of one number and its derivative.

    Shapes: input ``(n, *)``, output the same. It is compiled, and called from inside compiled
    code; the library is not compiled again. Elementary functions that vectorise, as in the built-in
    activations, stand in :mod:`chainrule.elementary`.

    Parameters
    ----------
    f : function of one number
        Plain Python that Numba can compile, or already decorated with ``numba.njit``.
    df : function, optional
        The derivative: of one argument, which is f's input, or f's output if it is called ``y``;
        or of both, ``df(x, y)``. Without it, it is found by a complex step: f must be analytic,
        and made of what takes complex numbers, such as ``np.exp``. That takes several times as
        long as a derivative that is given.
    d2f, d3f : functions, optional
        The second and the third derivative by f's input, with arguments as df has them: for
        derivatives of higher order. Tangents need f and df, :func:`hvp` and the like d2f, and what
        is trained on second derivatives by the input d3f.
    name : str, optional
        As of every layer.

    Raises
    ------
    TypeError
        If f or a derivative is no function of one number (a derivative: of two).
    ValueError
        If there is no df, and f does not take complex numbers or is not analytic; or if there is a
        d3f without a d2f.

    Notes
    -----
    That ``df`` is the derivative of f is for :func:`gradcheck` to prove. In a float32 network,
    numbers in f and df that are combined with x, such as 0.5, are float32 as well; a complex step
    is taken in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> x = np.array([[-1.0, 0.0, 2.0]])
    >>> cr.Sequential(cr.Activation(lambda x: x * x, lambda x: 2.0 * x)).predict(x)
    array([[1., 0., 4.]], dtype=float32)
    >>> net = cr.Sequential(cr.Linear(3, 4), cr.Activation(np.arctan), seed=0)
    Traceback (most recent call last):
        ...
    TypeError: Activation's f must be a Python function or one of Numba's, not <ufunc 'arctan'>.
    >>> net = cr.Sequential(cr.Linear(3, 4), cr.Activation(lambda x: np.arctan(x)), seed=0)
    >>> cr.gradcheck(net, cr.MSELoss(), x, np.zeros((1, 4))).passed
    True
    """

    in_any_order = True

    f: Callable[..., Any]
    df: Callable[..., Any] | None = None
    d2f: Callable[..., Any] | None = None
    d3f: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        _check(self.f, "f", 1)
        if self.df is None:
            f = getattr(self.f, "py_func", self.f)
            _check_analytic(f, lambda x: f(complex(x, STEP)).imag / STEP)
        else:
            _check(self.df, "df", 2)
        if self.d2f is not None:
            _check(self.d2f, "d2f", 2)
        if self.d3f is not None:
            _check(self.d3f, "d3f", 2)
            if self.d2f is None:
                raise ValueError("Activation has a d3f, but no d2f.")

    def __repr__(self) -> str:
        functions = (self.f, self.df, self.d2f, self.d3f)
        return f"Activation({', '.join(function_name(f) for f in functions if f is not None)})"

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        from chainrule.kernels import elementwise  # loads Numba

        by, derivatives = "", []
        if self.df is None:
            _check_compiled(self.f)
            slope, by = elementwise.complex_step(self.f), ", by a complex step"
            derivatives.append(Derivative(elementwise.loop_backward_from_both(slope), ("x", "y")))
        for g in (self.df, self.d2f, self.d3f):
            if g is not None:
                names = parameter_names(g)
                reads = ("x", "y") if len(names) == 2 else ("y",) if names == ("y",) else ("x",)
                both = len(reads) == 2
                loop = elementwise.loop_backward_from_both if both else elementwise.loop_backward
                derivatives.append(Derivative(loop(g), reads))
        label = f"{self!r} (layer {plan.path})"
        return plan.apply(activation(label, elementwise.loop_forward(self.f), derivatives, by), x)


def _check(function: Any, name: str, most: int) -> None:
    plain = getattr(function, "py_func", function)
    if not hasattr(plain, "__code__"):
        raise TypeError(
            f"Activation's {name} must be a Python function or one of Numba's, not {function!r}."
        )
    count = len(parameter_names(function))
    if not 1 <= count <= most:
        numbers = "one number" if most == 1 else "one number, or of two"
        raise TypeError(f"Activation's {name} must be a function of {numbers}, but takes {count}.")


@lru_cache(MOST_CHECKED)
def _check_compiled(f: Callable[..., Any]) -> None:
    """Do as :func:`_check_analytic` for the compiled form, whose complex powers are less exact."""
    slopes = dict(zip(SAMPLES.tolist(), _complex_steps(f).tolist(), strict=True))
    _check_analytic(getattr(f, "py_func", f), lambda x: slopes[x])


def _complex_steps(f: Callable[..., Any]) -> NDArray[np.float64]:
    """Return what a complex step finds at each of the samples, by the code that networks run."""
    from chainrule.kernels import elementwise  # loads Numba
    from chainrule.kernels.compilation import native_function

    ones, x, slopes = np.ones_like(SAMPLES), SAMPLES.copy(), np.empty_like(SAMPLES)
    loop = elementwise.loop_backward_from_both(elementwise.complex_step(f))
    if not is_compiled("numba"):
        loop(ones, x, ones, slopes)
        return slopes
    bases = context.PARAMS, context.DIRECTION, context.GRADS
    dy, at, dx = (rows_of(base, 0, x.shape, x.itemsize, ndim=1) for base in bases)
    call = Call(Function(loop, (), "a complex step"), (dy, at, dy, dx))
    words = np.zeros(context.CONTEXT_SIZE, np.int64)
    words[[context.LAST, context.ROWS]] = 1
    words[list(bases)] = [array.ctypes.data for array in (ones, x, slopes)]
    row = np.array(call.encode({}))
    compile_function: Any = native_function  # whose module has no types
    compile_function(call.function, call.kinds, x.dtype)(row.ctypes.data, words.ctypes.data)
    return slopes


def _check_analytic(f: Callable[..., Any], find_slope: Callable[[float], Any]) -> None:
    """Raise an error unless a complex step finds the derivative of ``f``."""
    with np.errstate(all="ignore"):
        for x in SAMPLES.tolist():
            try:
                slope = find_slope(x)
            except (TypeError, AttributeError) as error:
                raise ValueError(
                    f"Activation's f takes no complex number ({error}), so that its derivative df "
                    "must be given."
                ) from None
            except ArithmeticError:
                continue  # too large for Python's own complex numbers
            differences = [_difference(f, x, step * max(1.0, abs(x))) for step in DIFFERENCES]
            difference, _ = differences[0]
            if np.isfinite(difference) and not _is_one_of(differences, slope):
                raise ValueError(
                    f"Activation's f is not analytic at {x:.4g}, or not for complex numbers: its "
                    f"slope is {difference:.4g}, and a complex step finds {slope:.4g}. Its "
                    "derivative df must be given, or a power such as x**3 written as x * x * x."
                )


def _difference(f: Callable[..., Any], x: float, h: float) -> tuple[float, float]:
    """Return a central difference, and how much of it may be rounding."""
    low, high = np.float64(x - h), np.float64(x + h)  # NumPy's numbers overflow without an error
    before, after = f(low), f(high)
    return (after - before) / (high - low), 1e-15 * max(abs(before), abs(after)) / h


def _is_one_of(differences: list[tuple[float, float]], slope: float) -> bool:
    """Tell whether one of the differences, but none that is mostly rounding, is the slope."""
    for i, (difference, rounding) in enumerate(differences):
        says_something = i == 0 or rounding <= 0.01 * abs(difference)
        tolerance = TOLERANCE * max(abs(difference), 1e-3) + rounding
        if says_something and abs(slope - difference) <= tolerance:
            return True
    return False
