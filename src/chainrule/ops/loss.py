"""Losses, each with its gradient by the output: one number, and an array of the output's shape."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.kernels.rows import weighted_sum
from chainrule.losses import OutputLoss
from chainrule.operations.operation import find
from chainrule.ops.entries import COMPUTED, Entries
from chainrule.ops.validation import (
    NumberChecks,
    broadcasts_to,
    check_out,
    computed_in,
    deliver,
    is_plain,
    output_array,
    plain,
    real_arrays,
    stretched,
)
from chainrule.utils.arguments import Check
from chainrule.utils.arrays import FloatArray

_ONE = {dtype: np.ones(1, dtype) for dtype in COMPUTED}
_MANY = dict(_ONE)  # more of them, as many as were ever asked for
_weighted_sum = Entries(weighted_sum, "mv")

Result = tuple[float, Any]


class PointwiseLoss:
    """A mean over all elements, each of which is compared with its target.

    Without weights, all elements are one row to the kernel, of weight 1.

    Parameters
    ----------
    kernel : function of matrices of outputs and of targets, and of numbers
    checks : by name, how each number is validated.
    form : a letter for each number, as of :class:`Entries`.
    """

    weighted: "SpecLoss"  # the same, with weights of its own

    def __init__(self, kernel: Callable[..., None], checks: Mapping[str, Check], form: str) -> None:
        self._checks, self._entries = NumberChecks(checks), Entries(kernel, "mmvfmm" + form)

    def __call__(self, given: Sequence[Any], weight: Any, out: Any, *numbers: Any) -> Result:
        """Return the loss and its gradient, in ``out`` if given."""
        if numbers:
            numbers = self._checks(numbers, given)
        output, target = given
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
            output, target = given
            _check_target(target, output.shape, output.shape)
            output, target = (stretched(array, output.shape, kind) for array in given)
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
        terms, gradient = np.empty(form, kind), d_output.reshape(form)
        inputs = output.reshape(form), target.reshape(form), weight, total
        self._entries[kind](*inputs, terms, gradient, *numbers)
        return _result(terms, weight, total, d_output, dtype, out)


class LabelLoss:
    """A mean over rows, each of which is compared with its class label.

    Parameters are those of :class:`PointwiseLoss`; the kernel takes labels.
    """

    weighted: "SpecLoss"  # the same, with weights of its own

    def __init__(self, kernel: Callable[..., None], checks: Mapping[str, Check], form: str) -> None:
        self._checks, self._entries = NumberChecks(checks), Entries(kernel, "mlvfmm" + form)

    def __call__(self, given: Sequence[Any], weight: Any, out: Any, *numbers: Any) -> Result:
        """Return the loss and its gradient, in ``out`` if given."""
        (output,), dtype = real_arrays(("output",), given[:1])
        kind, shape = computed_in(dtype), output.shape
        numbers = self._checks(numbers, (output,))
        labels = _labels(given[1], shape)
        if weight is None:
            weight, total = _ones(labels.size, kind), float(labels.size)
        else:
            weight, total = _weights(weight, shape[:-1], kind)
        if out is not None:
            check_out(out, shape, dtype)
        form = labels.size, shape[-1]
        d_output = output_array(out, shape, kind, (output, weight))
        terms, gradient = np.empty((labels.size, 1), kind), d_output.reshape(form)
        inputs = plain(output, kind).reshape(form), labels, weight, total
        self._entries[kind](*inputs, terms, gradient, *numbers)
        return _result(terms, weight, total, d_output, dtype, out)


class SpecLoss:
    """A loss whose spec knows more of it: what its target looks like, and weights of its own.

    Parameters
    ----------
    spec : the class of the loss
    names : the names of its arguments.
    """

    def __init__(self, spec: type[OutputLoss], names: Sequence[str]) -> None:
        self._spec, self._names = spec, names
        self._entries: dict[str, Entries] = {}

    def __call__(self, given: Sequence[Any], weight: Any, out: Any, *values: Any) -> Result:
        """Return the loss and its gradient, in ``out`` if given."""
        loss = self._spec(**dict(zip(self._names, values, strict=True)))
        names = ("output",) if loss.takes_labels else ("output", "target")
        (output, *targets), dtype = real_arrays(names, given[: len(names)])
        kind, shape = computed_in(dtype), output.shape
        loss.check_numbers(kind)
        if loss.takes_labels:
            target: NDArray[Any] = _labels(given[1], shape)
            leading, columns = shape[:-1], shape[-1]
            numbers = loss.numbers(shape[-1:])
        else:
            leading, columns = shape[:1], prod(shape[1:])
            numbers = loss.numbers(shape[1:])
            of_target = (*leading, *loss.target_shape(shape[1:]))
            _check_target(targets[0], of_target, shape)
            target = stretched(targets[0], of_target, kind).reshape(
                prod(leading), prod(of_target[1:])
            )
        rows = prod(leading)
        if weight is None:
            weight = np.ones(rows, kind)
        else:
            weight = _weights(weight, leading, kind)[0].copy()
        operation = find(loss.operation)
        arrays = {n: np.array(v, kind) if isinstance(v, tuple) else v for n, v in numbers.items()}
        if operation.row_weight is not None:  # weights of classes
            weight *= arrays["class_weight"][target]
        if out is not None:
            check_out(out, shape, dtype)
        d_output = output_array(out, shape, kind, (output, *targets))
        if output.size == 0:
            return 0.0, deliver(d_output.astype(dtype), out)
        by_terms = {"row": 1, "output": columns, "target": target.size // rows}
        terms = np.empty((rows, by_terms[operation.terms]), kind)
        total = float(np.abs(weight).sum(dtype=float))
        named = arrays | {
            "output": plain(output, kind).reshape(rows, columns),
            "label" if loss.takes_labels else "target": target,
            **{"weight": weight, "total": total, "terms": terms},
            "d_output": d_output.reshape(rows, columns),
        }
        self._run(operation, [named[name] for name in operation.forward.names], kind)
        return _result(terms, weight, total, d_output, dtype, out)

    def _run(self, operation: Any, arguments: Sequence[Any], kind: np.dtype) -> None:
        entries = self._entries.get(operation.name)
        if entries is None:
            form = "".join(map(_letter, arguments))
            entries = self._entries[operation.name] = Entries(operation.forward.code, form)
        entries[kind](*arguments)


def _letter(value: Any) -> str:
    """Return the letter of :class:`Entries` for what a kernel takes."""
    if isinstance(value, np.ndarray):
        return "l" if value.dtype.kind == "i" else "vm"[value.ndim - 1]
    return "i" if isinstance(value, int) else "f"


def _result(
    terms: FloatArray,
    weight: FloatArray,
    total: float,
    d_output: FloatArray,
    dtype: np.dtype,
    out: Any,
) -> Result:
    gradient = d_output if d_output.dtype == dtype else d_output.astype(dtype)
    return _mean(terms, weight, total), deliver(gradient, out)


def _mean(terms: FloatArray, weight: FloatArray, total: float) -> float:
    """Return the loss: the mean of its terms, each with its row's weight; 0 without any weight."""
    summed = float(_weighted_sum[terms.dtype](terms, weight))
    return summed * (1.0 / (total * terms.shape[1]) if total > 0.0 else 0.0)


def _check_target(target: NDArray[Any], shape: tuple[int, ...], of_output: tuple[int, ...]) -> None:
    if not broadcasts_to(target.shape, shape):
        expected = "the output's shape" if shape == of_output else f"shape {shape} for output's"
        raise ValueError(
            f"target must broadcast to {expected}, {of_output}, but its shape is {target.shape}."
        )


def _labels(label: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the labels as a vector, each one of the classes along the output's last axis."""
    array = np.asarray(label)
    if array.dtype.kind not in "biu":
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
    """Return a weight for each row as a vector, and the sum of their sizes."""
    (array,), _ = real_arrays(("sample_weight",), (value,))
    if array.shape != shape:
        raise ValueError(
            f"sample_weight must have shape {shape}, one weight a row, but its shape is "
            f"{array.shape}."
        )
    return plain(array, dtype).reshape(-1), float(np.abs(array).sum(dtype=float))


def _ones(rows: int, dtype: np.dtype) -> FloatArray:
    """Return a read-only vector of ones."""
    ones = _MANY[dtype]
    if ones.size < rows:
        ones = _MANY[dtype] = np.ones(2 * rows, dtype)
    return ones[:rows]
