"""Softmax and its logarithm, with their derivatives, along an axis."""

from typing import Any

from numpy.typing import ArrayLike

from chainrule.ops.entries import kernel_of
from chainrule.ops.rowwise import RowwiseFunction

_softmax = RowwiseFunction(kernel_of("softmax"), "x")
_softmax_backward = RowwiseFunction(kernel_of("softmax", backward=True), "dy", "y")
_log_softmax = RowwiseFunction(kernel_of("log_softmax"), "x")
_log_softmax_backward = RowwiseFunction(kernel_of("log_softmax", backward=True), "dy", "y")


def softmax(x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any:
    """Probabilities ``exp(x) / sum(exp(x))`` along an axis, without overflow.

    Raises
    ------
    ValueError
        If x has no such axis, or is empty along it; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.softmax([[1000.0, 1000.0], [0.0, -1000.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return _softmax((x,), axis, out)


def softmax_backward(dy: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Any = None) -> Any:
    """Return ``dx`` of :func:`softmax`, from its output: ``y * (dy - sum(dy * y))``.

    Raises
    ------
    ValueError
        As :func:`softmax`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.softmax_backward([1.0, 0.0], [0.5, 0.5])
    array([ 0.25, -0.25])
    """
    return _softmax_backward((dy, y), axis, out)


def log_softmax(x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any:
    """Logarithms of the probabilities, ``x - log(sum(exp(x)))``, along an axis.

    Raises
    ------
    ValueError
        As :func:`softmax`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.log_softmax([1000.0, 0.0])
    array([    0., -1000.])
    """
    return _log_softmax((x,), axis, out)


def log_softmax_backward(dy: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Any = None) -> Any:
    """Return ``dx`` of :func:`log_softmax`, from its output: ``dy - exp(y) * sum(dy)``.

    Raises
    ------
    ValueError
        As :func:`softmax`.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.log_softmax_backward([1.0, 0.0], [0.0, -1000.0])
    array([0., 0.])
    """
    return _log_softmax_backward((dy, y), axis, out)
