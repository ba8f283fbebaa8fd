"""Reading linear operators, and scales and offsets of all elements or of columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import read_gated
from chainrule.interop.onnx.columns import ByColumn
from chainrule.interop.onnx.layouts import as_its_inputs, weight_in_order
from chainrule.interop.onnx.several_operators import (
    read_centered,
    read_normalized,
    read_root,
    read_scaled,
    read_shifted,
    read_sum_with_number,
)
from chainrule.interop.onnx.steps import Array, ImportStep, Merge, NodeView


def _linear(
    label: str, x: str, names: tuple[str, ...], weight: Array, bias: Array | None
) -> ImportStep:
    if weight.ndim != 2:
        raise ValueError(f"has a weight of shape {weight.shape}, not of two axes")
    rows, columns = weight.shape
    layer, parameters = layers.Linear(rows, columns, bias=bias is not None), {"weight": weight}
    if bias is not None:
        is_row = bias.ndim <= 2 and bias.shape[-1:] in ((), (bias.size,))
        if bias.size not in (1, columns) or not is_row:
            raise ValueError(f"has a bias of shape {bias.shape}")
        parameters["bias"] = np.broadcast_to(bias.reshape(-1), (columns,))
    return ImportStep(label, (x,), (layer,), parameters, names)


def _gemm(node: NodeView) -> ImportStep:
    node.expect(alpha=1.0, beta=1.0, transA=0)
    turned = node.attribute("transB", 0)
    if turned not in (0, 1):
        raise ValueError(f"has transB={turned}")
    weight = node.constant(1)
    names = (*node.inputs[1:], f"transB={turned}")
    bias = node.constant(2) if node.has(2) else None
    weight = weight_in_order(node, weight.T if turned else weight)
    return _linear(node.label, node.value(), names, weight, bias)


def _matmul(node: NodeView) -> ImportStep:
    weight = weight_in_order(node, node.constant(1))
    return _linear(node.label, node.value(), (node.inputs[1],), weight, None)


def _rescale(node: NodeView, x: str, scale: Array | float, offset: Array | float) -> ImportStep:
    """Return the step of ``x * scale + offset``, both numbers or rows of them."""
    scale, offset = np.broadcast_arrays(np.float64(scale), np.float64(offset))
    if scale.ndim:
        return ImportStep(node.label, (x,), (ByColumn(scale, offset),))
    a, b = float(scale), float(offset)
    return ImportStep(node.label, (x,), (layers.Rescale(a, b),), function=lambda x: x * a + b)


def _add(node: NodeView) -> ImportStep:
    for value, constant in ((0, 1), (1, 0)):
        if not node.is_constant(constant):
            continue
        added, before = node.constant(constant), node.step_before(value)
        if before is not None and before.is_product and "bias" not in before.parameters:
            weight = before.parameters["weight"]
            if added.shape[-1:] == weight.shape[1:]:
                names = *before.names, node.inputs[constant]
                return _linear(node.label, before.inputs[0], names, weight, added)
        for read in (read_sum_with_number, read_shifted):
            if (step := read(node, value, constant)) is not None:
                return step
        x = node.value(value)
        return _rescale(node, x, 1.0, node.row(constant, beside=x))
    return merged(node, "sum")


def _mul(node: NodeView) -> ImportStep:
    for value, constant in ((0, 1), (1, 0)):
        if node.is_constant(constant):
            x, step = node.value(value), read_scaled(node, value, constant)
            return step or _rescale(node, x, node.row(constant, beside=x), 0.0)
    for value, other in ((0, 1), (1, 0)):
        if (step := read_normalized(node, value, other, "scale")) is not None:
            return step
    return read_gated(node) or merged(node, "product")


def _sub(node: NodeView) -> ImportStep:
    for value, constant, sign in ((1, 0, -1.0), (0, 1, 1.0)):
        if node.is_constant(constant):
            x = node.value(value)
            return _rescale(node, x, sign, -sign * node.row(constant, beside=x))
    if (step := read_centered(node)) is not None:
        return step
    negated = node.add(as_its_inputs(node, _rescale(node, node.value(1), -1.0, 0.0)))
    return merged(node, "sum", (node.value(0), negated))


def _div(node: NodeView) -> ImportStep:
    if not node.is_constant(1):
        step = None
        if not node.is_constant(0):
            step = read_normalized(node, 0, 1, "root")
        elif node.number(0) == 1:
            step = read_root(node, np.reciprocal, 1)
        return step or elementwise(node, np.divide)
    divisor = node.row(1, beside=node.value())
    if not divisor.all():
        raise ValueError("divides by 0")
    return _rescale(node, node.value(0), 1 / divisor, 0.0)


def _neg(node: NodeView) -> ImportStep:
    return _rescale(node, node.value(), -1.0, 0.0)


def _scaler(node: NodeView) -> ImportStep:
    """Read scikit-learn's scalers, as sklearn-onnx writes them."""
    offset, scale = (np.array(node.attribute(name, [])) for name in ("offset", "scale"))
    if not offset.size == scale.size > 0:
        raise ValueError(f"has {offset.size} offsets and {scale.size} scales")
    if scale.size == 1:
        offset, scale = offset.reshape(()), scale.reshape(())
    return _rescale(node, node.value(), scale, -offset * scale)


FUNCTIONS: dict[Merge, Callable[..., Array]] = {
    "sum": lambda *values: np.sum(values, axis=0),
    "product": lambda *values: np.prod(values, axis=0),
}


def merged(node: NodeView, how: Merge, inputs: tuple[str, ...] = ()) -> ImportStep:
    """Return the step that merges values: ``inputs``, or else the node's."""
    inputs = inputs or tuple(node.value(i) for i in range(len(node.inputs)))
    if not inputs:
        raise ValueError("has no inputs")
    return ImportStep(node.label, inputs, merge=how, function=FUNCTIONS.get(how))


def elementwise(node: NodeView, function: Callable[..., Array]) -> ImportStep:
    """Return the step of an elementwise function, a part of an activation of several operators."""
    known = {i: node.number(i) for i in range(len(node.inputs)) if node.is_constant(i)}
    values = tuple(node.value(i) for i in range(len(node.inputs)) if i not in known)
    if not values:
        raise ValueError("has no inputs but constants")

    def evaluate(*arrays: Array) -> Array:
        given = iter(arrays)
        return function(*(known[i] if i in known else next(given) for i in range(len(node.inputs))))

    return ImportStep(node.label, values, function=evaluate)


LINEAR: dict[str, Callable[[NodeView], ImportStep]] = {
    "Add": _add,
    "Div": _div,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _mul,
    "Neg": _neg,
    "Sub": _sub,
    "ai.onnx.ml.Scaler": _scaler,
}
