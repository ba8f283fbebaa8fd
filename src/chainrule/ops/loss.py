"""Losses, each with its gradient by the output: one number, and an array of the output's shape."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.kernels import loss as kernels
from chainrule.kernels.rows import weighted_sum
from chainrule.ops.entries import COMPUTED, Entries
from chainrule.ops.validation import (
    broadcasts_to,
    check_out,
    computed_in,
    deliver,
    is_plain,
    number,
    output_array,
    plain,
    real_arrays,
    stretched,
)
from chainrule.utils import arguments
from chainrule.utils.arrays import FloatArray

_ONE = {dtype: np.ones(1, dtype) for dtype in COMPUTED}
_MANY = dict(_ONE)  # more of them, as many as were ever asked for
_cross_entropy = Entries(kernels.cross_entropy, "mlvfmmf")
_weighted_sum = Entries(weighted_sum, "mv")


class _Pointwise:
    """A mean over all elements, each of which is compared with its target.

    Without weights, all elements are one row to the kernel, of weight 1.
    """

    def __init__(self, kernel: Callable[..., None], numbers: int = 0) -> None:
        self._entries = Entries(kernel, "mmvfmm" + "f" * numbers)

    def __call__(
        self, output: Any, target: Any, weight: Any, out: Any, *numbers: float
    ) -> tuple[float, Any]:
        given: Sequence[Any] = output, target
        dtype: Any = getattr(output, "dtype", None)
        kind: Any = dtype
        if not (
            dtype in COMPUTED
            and is_plain(output, dtype)
            and is_plain(target, dtype)
            and output.shape == target.shape
        ):
            given, dtype = real_arrays(("output", "target"), given)
            kind = computed_in(dtype)
            _check_target(*given)
            output, target = (stretched(array, given[0].shape, kind) for array in given)
        shape = output.shape
        if weight is None:
            form, weight, total = (1, output.size), _ONE[kind], float(output.size > 0)
        else:
            rows = shape[0] if shape else 1
            weight, total = _weights(weight, shape[:1], kind)
            form = rows, prod(shape[1:])
        if out is not None:
            check_out(out, shape, dtype)
        d_output = output_array(out, shape, kind, (*given, weight))
        if output.size == 0:
            return 0.0, deliver(d_output.astype(dtype), out)
        terms = np.empty(form, kind)
        self._entries[kind](
            output.reshape(form),
            target.reshape(form),
            weight,
            total,
            terms,
            d_output.reshape(form),
            *numbers,
        )
        return _mean(terms, weight, total), deliver(
            d_output if kind == dtype else d_output.astype(dtype), out
        )


_mse = _Pointwise(kernels.mse)
_huber = _Pointwise(kernels.huber, numbers=1)
_bce_with_logits = _Pointwise(kernels.bce_with_logits)


def mse(
    output: ArrayLike,
    target: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]:
    """Return the mean squared error, ``mean((output - target)**2)``, and its gradient.

    Parameters
    ----------
    output : array of shape ``(n, *)``
    target : array that broadcasts to the output's shape
    sample_weight : array of shape (n,), optional
        One weight a row. The mean is then ``sum(w * row_loss) / sum(w)``.
    out : array that takes the gradient, optional

    Returns
    -------
    value : float
        Accumulated in float64; 0 of nothing, and where all weights are 0.
    d_output : array of the output's shape

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.ops.mse([1.0, 3.0], 1.0)
    >>> value, d_output.tolist()
    (2.0, [0.0, 2.0])
    """
    return _mse(output, target, sample_weight, out)


def huber(
    output: ArrayLike,
    target: ArrayLike,
    delta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]:
    """Return the mean of ``e**2 / 2`` where ``|e| < delta``, else ``delta * (|e| - delta / 2)``.

    And its gradient; e is ``output - target``.

    Parameters
    ----------
    output, target, sample_weight, out
        As for :func:`mse`.
    delta : float
        Where the square turns into a line; more than 0.

    Returns
    -------
    value : float
    d_output : array of the output's shape

    Raises
    ------
    ValueError
        If delta is not more than 0, or the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.ops.huber([1.5, 5.0], [1.0, 1.0])
    >>> value, d_output.tolist()
    (1.8125, [0.25, 0.5])
    """
    delta = number(arguments.above_zero, delta, "delta", output, target)
    return _huber(output, target, sample_weight, out, delta)


def bce_with_logits(
    output: ArrayLike,
    target: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]:
    """Return the binary cross-entropy of ``sigmoid(output)``, and its gradient, without overflow.

    Parameters
    ----------
    output, target, sample_weight, out
        As for :func:`mse`; targets are probabilities, from 0 to 1, which is not checked.

    Returns
    -------
    value : float
    d_output : array of the output's shape

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.ops.bce_with_logits([0.0, 0.0], [0, 1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [0.25, -0.25])
    """
    return _bce_with_logits(output, target, sample_weight, out)


def cross_entropy(
    output: ArrayLike,
    label: ArrayLike,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]:
    """Return the cross-entropy of ``softmax(output)`` with class labels, and its gradient.

    Parameters
    ----------
    output : array of shape ``(*, classes)``
    label : array of integers, of shape ``(*)``
        From 0 to classes - 1.
    label_smoothing : float
        The share of the target distribution that is spread evenly over all classes; 0 to 1.
    sample_weight : array of shape ``(*)``, optional
        One weight a label. The mean is then ``sum(w * row_loss) / sum(w)``.
    out : array that takes the gradient, optional

    Returns
    -------
    value : float
        Accumulated in float64.
    d_output : array of the output's shape

    Raises
    ------
    ValueError
        If a label is none of the classes, or the shapes do not fit together; or as all functions
        here do.
    TypeError
        If labels are no integers; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> value, d_output = cr.ops.cross_entropy([[0.0, 0.0]], [1])
    >>> round(value, 4), d_output.tolist()
    (0.6931, [[0.5, -0.5]])
    """
    smoothing = arguments.fraction(label_smoothing, "label_smoothing")
    (given,), dtype = real_arrays(("output",), (output,))
    kind = computed_in(dtype)
    shape = given.shape
    labels = _labels(label, shape)
    if sample_weight is None:
        weight, total = _ones(labels.size, kind), float(labels.size)
    else:
        weight, total = _weights(sample_weight, shape[:-1], kind)
    if out is not None:
        check_out(out, shape, dtype)
    form = labels.size, shape[-1]
    d_output = output_array(out, shape, kind, (given, weight))
    terms = np.empty((labels.size, 1), kind)
    _cross_entropy[kind](
        plain(given, kind).reshape(form),
        labels,
        weight,
        total,
        terms,
        d_output.reshape(form),
        smoothing,
    )
    return _mean(terms, weight, total), deliver(
        d_output if kind == dtype else d_output.astype(dtype), out
    )


def _mean(terms: FloatArray, weight: FloatArray, total: float) -> float:
    """Return the loss: the mean of its terms, each with its row's weight; 0 without any weight."""
    summed = float(_weighted_sum[terms.dtype](terms, weight))
    return summed * (1.0 / (total * terms.shape[1]) if total > 0.0 else 0.0)


def _check_target(output: NDArray[Any], target: NDArray[Any]) -> None:
    if not broadcasts_to(target.shape, output.shape):
        raise ValueError(
            f"target must broadcast to the output's shape, {output.shape}, but its shape is "
            f"{target.shape}."
        )


def _labels(label: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the labels as a vector, each one of the classes along the output's last axis."""
    array = np.asarray(label)
    if array.dtype.kind not in "iu":
        raise TypeError(f"label must hold integers, but its dtype is {array.dtype}.")
    if not shape or array.shape != shape[:-1]:
        raise ValueError(
            "output and label must have shapes (*, classes) and (*), but their shapes are "
            f"{shape} and {array.shape}."
        )
    classes = shape[-1]
    if classes == 0:
        raise ValueError(f"output must have at least one class, but its shape is {shape}.")
    # The copy is checked: the caller may write into the array while the kernel runs.
    labels = np.array(array, np.int64, order="C").reshape(-1)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        wrong = array.reshape(-1)[np.argmax((labels < 0) | (labels >= classes))]
        raise ValueError(f"label holds {wrong}, but the classes are 0 to {classes - 1}.")
    return labels


def _weights(value: ArrayLike, shape: tuple[int, ...], dtype: np.dtype) -> tuple[FloatArray, float]:
    """Return a weight for each row as a vector, and their sum."""
    (array,), _ = real_arrays(("sample_weight",), (value,))
    if array.shape != shape:
        raise ValueError(
            f"sample_weight must have shape {shape}, one weight a row, but its shape is "
            f"{array.shape}."
        )
    return plain(array, dtype).reshape(-1), float(array.sum(dtype=float))


def _ones(rows: int, dtype: np.dtype) -> FloatArray:
    """Return a read-only vector of ones."""
    ones = _MANY[dtype]
    if ones.size < rows:
        ones = _MANY[dtype] = np.ones(2 * rows, dtype)
    return ones[:rows]
