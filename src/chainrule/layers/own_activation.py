"""An activation of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from chainrule.layers.layer import Layer
from chainrule.layers.own import (
    function_name,
    layer_arguments,
    make_function,
    parameter_names,
)
from chainrule.plan.builder import PlanBuilder, Tensor

# Where a function that has no derivative with it must be what its complex step says.
SAMPLES = np.concatenate([np.linspace(-3.1, 3.0, 40), [-30.0, 30.0, -300.0, 300.0]])
DIFFERENCE = 1e-6
STEP = 1e-100
TOLERANCE = 1e-4  # what is found that way is right to 1e-15, or wrong in the first digit


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
    name : str, optional
        As of every layer.

    Raises
    ------
    TypeError
        If f or df is no function of one number (df: of two).
    ValueError
        If there is no df, and f does not take complex numbers or is not analytic.

    Notes
    -----
    That ``df`` is the derivative of f is for :func:`gradcheck` to prove. In a float32 network,
    numbers in f such as 0.5 are float32 as well.

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

    f: Callable[..., Any]
    df: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        _check(self.f, "f", 1)
        if self.df is None:
            f = getattr(self.f, "py_func", self.f)
            _check_analytic(f, lambda x: f(complex(x, STEP)).imag / STEP)
        else:
            _check(self.df, "df", 2)

    def __repr__(self) -> str:
        functions = [self.f] if self.df is None else [self.f, self.df]
        return f"Activation({', '.join(map(function_name, functions))})"

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        from chainrule.kernels import elementwise  # loads Numba

        reads = ["x"]
        backward_label = f"the backward of {self!r} (layer {plan.path})"
        if self.df is None:
            _check_compiled(self.f)
            backward = elementwise.loop_backward(elementwise.complex_step(self.f))
            backward_label += ", by a complex step"
        elif len(parameter_names(self.df)) == 2:
            backward, reads = elementwise.loop_backward_from_both(self.df), ["x", "y"]
        else:
            backward = elementwise.loop_backward(self.df)
            reads = ["y"] if parameter_names(self.df) == ("y",) else ["x"]
        arguments = layer_arguments(x.shape, x.shape, (), {}, cleared=False)
        return plan.foreign(
            x,
            x.shape,
            make_function(
                elementwise.loop_forward(self.f),
                ["x", "y"],
                arguments,
                f"the forward of {self!r} (layer {plan.path})",
            ),
            make_function(backward, ["dy", *reads, "dx"], arguments, backward_label),
            parameters={},
            kept_size=0,
        )


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


@cache
def _check_compiled(f: Callable[..., Any]) -> None:
    """Do as :func:`_check_analytic` for the compiled form, whose complex powers are less exact."""
    from chainrule.kernels import elementwise  # loads Numba

    _check_analytic(getattr(f, "py_func", f), elementwise.compiled_complex_step(f))


def _check_analytic(f: Callable[..., Any], find_slope: Callable[[float], Any]) -> None:
    """Raise an error unless a complex step finds the derivative of ``f``."""
    with np.errstate(all="ignore"):
        for x in SAMPLES:
            try:
                slope = find_slope(float(x))
            except (TypeError, AttributeError) as error:
                raise ValueError(
                    f"Activation's f takes no complex number ({error}), so that its derivative df "
                    "must be given."
                ) from None
            h = DIFFERENCE * max(1.0, abs(x))
            before, after = f(x - h), f(x + h)
            difference = (after - before) / (2 * h)
            if not np.isfinite(difference):
                continue  # out of the function's domain, or too large
            rounding = 1e-15 * max(abs(before), abs(after)) / h
            if not abs(slope - difference) <= TOLERANCE * max(abs(difference), 1e-3) + rounding:
                raise ValueError(
                    f"Activation's f is not analytic at {x:.4g}, or not for complex numbers: its "
                    f"slope is {difference:.4g}, and a complex step finds {slope:.4g}. Its "
                    "derivative df must be given, or a power such as x**3 written as x * x * x."
                )
