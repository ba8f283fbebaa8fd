"""Nodes whose inputs are all known, as exporters write them to compute shapes and paddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.interop.onnx.steps import BATCH, UNKNOWN, Array, NodeView
from chainrule.interop.onnx.tensors import DTYPES

LARGEST = 1 << 12  # elements of a result that is no view of an input


def folded(operator: str, node: NodeView) -> Array | None:
    """Return what a node computes of constants; None if it is not that.

    Raises
    ------
    ValueError
        If it would take much memory, or computes with a length that is not known.
    """
    if operator == "Shape":
        return _shape(node)
    given = [i for i in range(len(node.inputs)) if node.has(i)]
    if operator not in FUNCTIONS or not given or not all(map(node.is_constant, given)):
        return None
    known = {i: node.constant(i) for i in given}
    # Lengths that are not known may be moved to other places, but do not tell places.
    moved = known if operator == "Concat" else {0} if operator in OF_PLACES else ()
    if any(np.isin(known[i], (BATCH, UNKNOWN)).any() for i in known if i not in moved):
        raise ValueError("computes with the batch size, or with a length that is not known")
    try:
        with np.errstate(all="ignore"):
            given_or_none = (known.get(i) for i in range(len(node.inputs)))
            result = np.asarray(FUNCTIONS[operator](node, *given_or_none))
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"cannot be computed: {error}") from None
    if operator != "Cast" and not any(np.may_share_memory(result, v) for v in known.values()):
        _check_size(result.shape)
    return result


def _check_size(shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array has many elements, which a small file may not ask for."""
    if np.prod(shape, dtype=float) > LARGEST:
        raise ValueError(f"computes {np.prod(shape, dtype=float):.0f} known numbers, too many")


def _shape(node: NodeView) -> Array | None:
    """Return the lengths of a value's axes in the file's order, if their number is known."""
    if node.is_constant(0):
        lengths: list[int | None] = list(node.constant(0).shape)
    else:
        shape, is_first = node.shape(node.value()), node.channels_last(node.value()) is not None
        step = node.step_before(0)
        if shape is None or (step is not None and (step.ones or step.part is not None)):
            return None
        lengths = [BATCH, *((shape[-1], *shape[:-1]) if is_first else shape)]
    all_axes = len(lengths)
    part = slice(node.attribute("start", 0), node.attribute("end", all_axes))
    return np.array([UNKNOWN if n is None else n for n in lengths[part]], np.int64)


def _constant_of_shape(node: NodeView, shape: Array) -> Array:
    value = node.tensor("value", np.float32(0))
    _check_size(tuple(shape))
    return np.full(tuple(shape), value)


def _slice(
    node: NodeView, x: Array, starts: Array, ends: Array, axes: Any = None, steps: Any = None
) -> Array:
    axes = range(len(starts)) if axes is None else axes
    steps = np.ones_like(starts) if steps is None else steps
    parts = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(int(start), _end(int(end), int(step), x.shape[axis]), int(step))
    return x[tuple(parts)]


def _end(end: int, step: int, length: int) -> int | None:
    """Return an end as Python has it; far below 0 it is that behind the first one."""
    return None if step < 0 and end < -length else end


def _reshape(node: NodeView, x: Array, shape: Array) -> Array:
    keeps_zeros = node.attribute("allowzero", 0)
    lengths = [int(n) for n in shape]
    if not keeps_zeros:
        lengths = [x.shape[i] if n == 0 else n for i, n in enumerate(lengths)]
    return x.reshape(lengths)


def _unsqueeze(node: NodeView, x: Array, axes: Array) -> Array:
    return np.expand_dims(x, tuple(int(axis) for axis in axes.reshape(-1)))


def _squeeze(node: NodeView, x: Array, axes: Any = None) -> Array:
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes.reshape(-1)))


def _concat(node: NodeView, *values: Array) -> Array:
    _check_size((sum(value.size for value in values),))
    return np.concatenate(values, axis=node.attribute("axis", 0))


def _gather(node: NodeView, x: Array, indices: Array) -> Array:
    axis = node.attribute("axis", 0)
    _check_size((*np.delete(x.shape, axis), indices.size))
    return np.take(x, indices, axis=axis)


def _transpose(node: NodeView, x: Array) -> Array:
    return x.transpose(node.attribute("perm", list(range(x.ndim))[::-1]))


def _cast(node: NodeView, x: Array) -> Array:
    dtype = DTYPES.get(node.attribute("to", 0))
    if dtype is None or (dtype != "int64" and np.isin(x, (BATCH, UNKNOWN)).any()):
        raise ValueError("to another type")
    return x.astype(dtype, copy=False)


def _elementwise(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def computed(node: NodeView, x: Array, y: Array) -> Array:
        _check_size(np.broadcast_shapes(x.shape, y.shape))
        return function(x, y)

    return computed


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return x / y
    if not y.all():
        raise ValueError("divides by 0")
    quotient = np.abs(x) // np.abs(y)  # ONNX rounds towards 0
    return np.where((x < 0) == (y < 0), quotient, -quotient)


# Those that only move numbers to other places, and those that compute with them.
OF_PLACES: dict[str, Callable[..., Array]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
FUNCTIONS: dict[str, Callable[..., Array]] = {
    **OF_PLACES,
    "Add": _elementwise(np.add),
    "ConstantOfShape": _constant_of_shape,
    "Div": _elementwise(_divide),
    "Mul": _elementwise(np.multiply),
    "Sub": _elementwise(np.subtract),
}
