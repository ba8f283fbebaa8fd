"""Operations and their derivatives as plain functions on arrays, to put into NumPy code.

They take what NumPy's functions take, and give plain arrays back:

- Arrays of any strides and byte order, read-only ones, lists and numbers. Shapes broadcast as in
  NumPy, and a result without axes is a scalar.
- Results have the dtype that NumPy promotes the arguments to. Integers and booleans alone make
  float64, and float16 is computed in float32. Python's numbers do not count beside arrays.
- ``out`` is an array for the result, of any strides, and of any dtype that NumPy casts the result
  to by ``"same_kind"``. It may overlap the arguments, or be one of them: the result is as if they
  had been copied before. What is returned is ``out`` itself.
- ``where``, in elementwise functions, says which elements to compute; the others stay as they are
  in ``out``, and are anything without it.
- NaN and infinity go through, as in the formulas. There are no warnings of overflow.
- What other than real numbers comes in is a TypeError, shapes that do not fit are a ValueError,
  before anything is changed.

A derivative stands beside each function: ``tanh_backward(dy, y)`` is given the loss's gradient by
the output, and what it wants of the forward pass: the input ``x`` or the output ``y``, as the name
of the argument says. Each loss returns its value and its gradient.

Arrays that are C-contiguous, aligned and of one dtype, float32 or float64, go straight to compiled
code, small ones of any strides as well. The code is compiled when a function is first called, and
kept on disk. All functions run in the thread that calls them, without the GIL while they compute.
The same functions in plain NumPy are in :mod:`chainrule.reference`.
"""

from typing import Any

from chainrule.ops.affine import linear, linear_backward, matmul
from chainrule.ops.functions import NAMES, array_function
from chainrule.ops.prelu import prelu, prelu_backward
from chainrule.ops.update import clip_grad_norm, sgd_update

__all__ = [
    "clip_grad_norm",
    "linear",
    "linear_backward",
    "matmul",
    "prelu",
    "prelu_backward",
    "sgd_update",
]
__all__ += NAMES


# Type checkers read __init__.pyi, which ``python tests/ops/stub.py`` writes.
def __getattr__(name: str) -> Any:
    """Make a function when it is first used: only then, its kernel is loaded."""
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function = globals()[name] = array_function(name)
    return function


def __dir__() -> list[str]:
    """Name what is public, also before its first use."""
    return sorted(__all__)
