"""Writing and reading activations that are not one operator of opset 17 without parameters.

``WRITERS`` has the functions that write a layer, and ``READERS`` those that read an operator, which
may be of a newer opset. An activation that a file expresses by several operators is recognized by
its values: ``VALUES`` has the layers and their functions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf, erfc, pi, sqrt
from typing import Any, Protocol

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.layouts import as_its_inputs, channels_first
from chainrule.interop.onnx.steps import Array, ImportStep, NodeView
from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape

CUBIC = 0.044715  # of GELU's approximation


class Writer(Protocol):
    """Collects a file's nodes; ``rank`` is that of the layer's first input, ``shape`` its rows'."""

    rank: int
    shape: Shape
    dtype: np.dtype

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; return the name of its output."""

    def add_several(self, outputs: int, operator: str, *inputs: str, **options: Any) -> list[str]:
        """Append a node with several outputs; return their names."""

    def number(self, value: float | Array) -> str:
        """Return the name of a constant, or of an array of them."""

    def integers(self, values: list[int]) -> str:
        """Return the name of a constant row of integers."""

    def parameter(self, name: str, axes: tuple[int, ...] | None = None) -> str:
        """Return the name of a parameter, or a buffer, of the layer."""


def erf_of(x: Array) -> Array:
    """Return the error function of each element."""
    return np.array([erf(value) for value in x])


def erfc_of(x: Array) -> Array:
    """Return 1 minus the error function of each element."""
    return np.array([erfc(value) for value in x])


def _silu(writer: Writer, layer: layers.SiLU, x: str) -> str:
    return writer.add("Mul", x, writer.add("Sigmoid", x))


def _gelu(writer: Writer, layer: layers.GELU, x: str) -> str:
    """Write GELU as several operators: ONNX has one for it since opset 20."""

    def times(value: str, number: float) -> str:
        return writer.add("Mul", value, writer.number(number))

    if layer.approximate == "tanh":
        cube = writer.add("Mul", writer.add("Mul", x, x), x)
        inner = times(writer.add("Add", x, times(cube, CUBIC)), sqrt(2 / pi))
        curve = writer.add("Tanh", inner)
    else:
        curve = writer.add("Erf", times(x, sqrt(0.5)))
    return writer.add("Mul", times(x, 0.5), writer.add("Add", curve, writer.number(1.0)))


def _read_gelu(node: NodeView) -> ImportStep:
    layer = layers.GELU(approximate=node.attribute("approximate", "none"))
    return ImportStep(node.label, (node.value(),), (layer,))


def _mish(writer: Writer, layer: layers.Mish, x: str) -> str:
    """Write Mish as several operators: ONNX has one for it since opset 18."""
    return writer.add("Mul", x, writer.add("Tanh", writer.add("Softplus", x)))


def _read_mish(node: NodeView) -> ImportStep:
    return ImportStep(node.label, (node.value(),), (layers.Mish(),))


def _prelu(writer: Writer, layer: layers.PReLU, x: str) -> str:
    return writer.add("PRelu", x, writer.parameter("weight"))


def _read_prelu(node: NodeView) -> ImportStep:
    slopes = node.row(1, beside=node.value()).astype(node.constant(1).dtype).reshape(-1)
    layer, names = layers.PReLU(slopes.size), (node.inputs[1], "slopes")
    return ImportStep(node.label, (node.value(),), (layer,), {"weight": slopes}, names)


def _glu(writer: Writer, layer: layers.GLU, x: str) -> str:
    value, gate = writer.add_several(2, "Split", x, axis=-1)
    return writer.add("Mul", value, writer.add("Sigmoid", gate))


def _read_split(node: NodeView) -> ImportStep:
    axis = node.attribute("axis", 0)
    node.expect(num_outputs=2)
    sizes = node.integers(1) if node.has(1) else [1, 1]
    if len(node.outputs) != 2 or len(sizes) != 2 or sizes[0] != sizes[1]:
        raise ValueError("is supported as two halves only")
    x = (node.value(),)
    node.give(1, as_its_inputs(node, ImportStep(node.label, x, half=1, axis=axis)))
    return ImportStep(node.label, x, half=0, axis=axis)


def read_gated(node: NodeView) -> ImportStep | None:
    """Return a product as GLU, if it is one of half a value and the sigmoid of the other half."""
    for value, gate in ((0, 1), (1, 0)):
        half, curve = node.step_before(value), node.step_before(gate)
        if half is None or curve is None:
            continue
        is_first = half.transposed is not None
        half, curve = half.transposed or half, curve.transposed or curve
        if half.half != 0 or curve.layers != (layers.Sigmoid(),):
            continue
        other = node.step_of(curve.inputs[0])
        if other is not None and other.half == 1 and other.inputs == half.inputs:
            step = ImportStep(node.label, half.inputs, (layers.GLU(),), axis=half.axis)
            return channels_first(step) if is_first else step
    return None


WRITERS: dict[type[Layer], Callable[..., str]] = {
    layers.GELU: _gelu,
    layers.GLU: _glu,
    layers.Mish: _mish,
    layers.PReLU: _prelu,
    layers.SiLU: _silu,
}
READERS: dict[str, Callable[[NodeView], ImportStep]] = {
    "Gelu": _read_gelu,
    "Mish": _read_mish,
    "PRelu": _read_prelu,
    "Split": _read_split,
}
VALUES: tuple[tuple[tuple[Layer, ...], Callable[[Array], Array]], ...] = (
    ((layers.SiLU(),), lambda x: x / (1 + np.exp(-x))),
    ((layers.GELU(),), lambda x: x * 0.5 * (1 + erf_of(x * sqrt(0.5)))),
    (
        (layers.GELU("tanh"),),
        lambda x: x * 0.5 * (1 + np.tanh(sqrt(2 / pi) * (x + CUBIC * x**3))),
    ),
    ((layers.Mish(),), lambda x: x * np.tanh(np.logaddexp(0, x))),
    ((layers.Softplus(),), lambda x: np.logaddexp(0, x)),
    ((layers.Softsign(),), lambda x: x / (1 + np.abs(x))),
    (  # the logarithm of Sigmoid
        (layers.Rescale(-1.0), layers.Softplus(), layers.Rescale(-1.0)),
        lambda x: -np.logaddexp(0, -x),
    ),
)
