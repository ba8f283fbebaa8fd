"""Functions that read the ONNX operators as steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import READERS as ACTIVATIONS
from chainrule.interop.onnx.activations import erf_of, erfc_of
from chainrule.interop.onnx.convolutions import READERS as CONVOLUTIONS
from chainrule.interop.onnx.images import READERS as IMAGES
from chainrule.interop.onnx.images import without_ones
from chainrule.interop.onnx.layouts import flattened
from chainrule.interop.onnx.linear import LINEAR, elementwise, merged
from chainrule.interop.onnx.normalization import READERS as NORMALIZATIONS
from chainrule.interop.onnx.operators import FUNCTIONS, SIMPLE, SOFTMAXES
from chainrule.interop.onnx.several_operators import READERS as OF_SEVERAL
from chainrule.interop.onnx.several_operators import read_groups, read_reshape_back, read_root
from chainrule.interop.onnx.steps import UNKNOWN, ImportStep, NodeView, lengths_text
from chainrule.interop.onnx.tables import READERS as TABLES
from chainrule.layers.layer import Layer

Reader = Callable[[NodeView], ImportStep]
# Operators within activations that a file expresses by several operators.
PARTS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Erf": erf_of,
    "Erfc": erfc_of,  # no operator of ONNX, but tf2onnx writes it for Keras's GELU
    "Exp": np.exp,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Pow": np.power,
}


def _simple(kind: type[Layer], names: dict[str, str]) -> Reader:
    defaults = {"Elu": 1.0, "LeakyRelu": 0.01}
    function = FUNCTIONS.get(kind)

    def read(node: NodeView) -> ImportStep:
        arguments: dict[str, Any] = {
            name: _shortest(node.attribute(attribute, defaults[SIMPLE[kind][0]]))
            for attribute, name in names.items()
        }
        return ImportStep(node.label, (node.value(),), (kind(**arguments),), function=function)

    return read


def _shortest(value: float) -> float:
    """Return the shortest decimal number with the attribute's float32 value."""
    return float(str(np.float32(value)))


def _softmax(kind: type[Layer]) -> Reader:
    def read(node: NodeView) -> ImportStep:
        return ImportStep(node.label, (node.value(),), (kind(),), axis=node.attribute("axis", -1))

    return read


def _part(function: Callable[..., Any]) -> Reader:
    return lambda node: elementwise(node, function)


def _root(function: Callable[..., Any]) -> Reader:
    return lambda node: read_root(node, function) or elementwise(node, function)


def _selu(node: NodeView) -> ImportStep:
    alpha = node.attribute("alpha", 1.6732632423543772)
    scale = node.attribute("gamma", 1.0507009873554805)
    return ImportStep(node.label, (node.value(),), (layers.ELU(alpha), layers.Rescale(scale)))


def _celu(node: NodeView) -> ImportStep:
    alpha = _shortest(node.attribute("alpha", 1.0))
    if not alpha > 0:
        raise ValueError(f"has alpha={alpha}, where a positive number is supported")
    chain = layers.Rescale(1 / alpha), layers.ELU(), layers.Rescale(alpha)
    return ImportStep(node.label, (node.value(),), chain)


def _clipped(low: float | None, high: float | None) -> tuple[Layer, ...]:
    """Return ``min(high, max(low, x))`` as layers: each bound is a shifted or mirrored ReLU."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"clips between {low} and {high}")
    chain: list[Layer] = []
    if low is not None:
        chain += [layers.Rescale(1.0, -low), layers.ReLU(), layers.Rescale(1.0, low)]
    if high is not None:
        chain += [layers.Rescale(-1.0, high), layers.ReLU(), layers.Rescale(-1.0, high)]
    return tuple(chain) or (layers.Identity(),)


def _clip(node: NodeView) -> ImportStep:
    bounds = [node.number(i) if node.has(i) else None for i in (1, 2)]
    most = float(np.finfo(np.float32).max)
    low, high = (None if bound is None or abs(bound) >= most else bound for bound in bounds)
    return ImportStep(node.label, (node.value(),), _clipped(low, high))


def _bounded(node: NodeView, *, above: bool) -> ImportStep:
    """Read Min or Max of a value and a number."""
    value, constant = (0, 1) if node.is_constant(1) else (1, 0)
    if len(node.inputs) != 2 or not node.is_constant(constant):
        raise ValueError("is supported of one value and one number only")
    bound = node.number(constant)
    return ImportStep(
        node.label, (node.value(value),), _clipped(*((None, bound) if above else (bound, None)))
    )


def _hard_sigmoid(node: NodeView) -> ImportStep:
    scale = _shortest(node.attribute("alpha", 0.2))
    offset = _shortest(node.attribute("beta", 0.5))
    chain = layers.Rescale(scale, offset), *_clipped(0.0, 1.0)
    return ImportStep(node.label, (node.value(),), chain)


def _where(node: NodeView) -> ImportStep:
    step = elementwise(node, np.where)
    if len(step.inputs) == 3:
        step.merge = "choice"
    return step


def _concat(node: NodeView) -> ImportStep:
    step = merged(node, "concatenate")
    step.axis = node.attribute("axis", 0)
    return step


def _flatten(node: NodeView) -> ImportStep:
    node.expect(axis=1)
    return _flattened_in_any_form(node)


def _flattened_in_any_form(node: NodeView) -> ImportStep:
    flat = ImportStep(node.label, (node.value(),), (layers.Flatten(),))
    return without_ones(node) or flattened(node) or flat


def _reshape(node: NodeView) -> ImportStep:
    if (step := read_reshape_back(node)) is not None:
        return step
    row = node.reshaped_rows(1)
    if (step := read_groups(node, row)) is not None:
        return step
    if len(row) != 1 or row[0] == UNKNOWN:
        raise ValueError(f"reshapes rows to {lengths_text(row)}, not to one axis of known length")
    columns = row[0] if row[0] > 0 else None
    return replace(_flattened_in_any_form(node), columns=columns)


def _squeeze(node: NodeView) -> ImportStep:
    """Read a Squeeze of axes behind a global pooling."""
    step = without_ones(node, node.integers(1))
    assert step is not None  # as it is an ending otherwise
    return step


READERS: dict[str, Reader] = {
    **ACTIVATIONS,
    **CONVOLUTIONS,
    **IMAGES,
    **LINEAR,
    **TABLES,
    **NORMALIZATIONS,
    **OF_SEVERAL,
    **{operator: _simple(kind, names) for kind, (operator, names) in SIMPLE.items()},
    **{operator: _softmax(kind) for kind, operator in SOFTMAXES.items()},
    **{operator: _part(function) for operator, function in PARTS.items()},
    "Celu": _celu,
    "Clip": _clip,
    "Concat": _concat,
    "Flatten": _flatten,
    "HardSigmoid": _hard_sigmoid,
    "Max": lambda node: _bounded(node, above=False),
    "Min": lambda node: _bounded(node, above=True),
    "Reciprocal": _root(np.reciprocal),
    "Reshape": _reshape,
    "Selu": _selu,
    "Sqrt": _root(np.sqrt),
    "Squeeze": _squeeze,
    "Sum": lambda node: merged(node, "sum"),
    "Where": _where,
}
