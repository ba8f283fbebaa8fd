"""ONNX nodes as steps: a layer, a place where values meet, or a part of an activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import erf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule import layers
from chainrule.interop.onnx.operators import SIMPLE, SOFTMAXES
from chainrule.layers.layer import Layer

Array = NDArray[Any]
Meeting = Literal["sum", "concatenate", "product"]


@dataclass
class Step:
    """What becomes of some values.

    Attributes
    ----------
    label : str
        How messages call the node.
    inputs : tuple of str
    layer : Layer, optional
        Of one value; a linear one has its parameters, and their names, beside it.
    meeting : str, optional
        How several values are put together.
    function : function, optional
        What it does to the elements of one value, where that is known: it may be part of an
        activation, and nothing else if there is no layer.
    axis, columns : int, optional
        The axis that the node names; how many columns it reshapes to.
    """

    label: str
    inputs: tuple[str, ...]
    layer: Layer | None = None
    parameters: dict[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    meeting: Meeting | None = None
    function: Callable[[Array], Array] | None = None
    axis: int = -1
    columns: int | None = None


class NodeView:
    """A node while it is read: its inputs, and its attributes, each of which must be asked for.

    Raises ValueError, with what a message says after the node's name.
    """

    def __init__(
        self,
        label: str,
        inputs: list[str],
        attributes: dict[str, Any],
        constants: dict[str, Array],
        steps: dict[str, Step],
        batch: int | None,
    ) -> None:
        self.label, self.inputs, self.batch = label, inputs, batch
        self._attributes, self._constants, self._steps = attributes, constants, steps

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute, of the default's type."""
        value = self._attributes.pop(name, default)
        if type(value) is not type(default):
            raise ValueError(f"has {name}={value!r}")
        return value

    def expect(self, **expected: Any) -> None:
        """Raise ValueError if an attribute is there and says something else."""
        for name, value in expected.items():
            found = self.attribute(name, value)
            if found != value:
                raise ValueError(f"has {name}={found!r}, where {value!r} is understood")

    def finish(self) -> None:
        """Raise ValueError if an attribute was not asked for."""
        if self._attributes:
            raise ValueError(f"has the attribute {next(iter(self._attributes))}, not understood")

    def is_constant(self, number: int) -> bool:
        """Tell whether an input is known."""
        return number < len(self.inputs) and self.inputs[number] in self._constants

    def constant(self, number: int) -> Array:
        """Return an input that must be known."""
        if not self.is_constant(number):
            raise ValueError(f"has an input {number} that is no constant")
        return self._constants[self.inputs[number]]

    def value(self, number: int = 0) -> str:
        """Return the name of an input that must not be known."""
        if number >= len(self.inputs) or self.is_constant(number) or not self.inputs[number]:
            raise ValueError(f"has an input {number} that is a constant, or missing")
        return self.inputs[number]

    def number(self, number: int) -> float:
        """Return an input that must be one known number."""
        value = self.constant(number)
        # With more axes, it would give them to what it meets.
        if value.size != 1 or value.ndim > 2 or value.dtype.kind not in "fi":
            raise ValueError(f"has an input {number} that is not one number")
        return float(value.reshape(()))

    def step_before(self, number: int) -> Step | None:
        """Return the step that gives an input."""
        return self._steps.get(self.value(number))


FUNCTIONS: dict[type[Layer], Callable[[Array], Array]] = {
    layers.Tanh: np.tanh,
    layers.Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
}


def _simple(kind: type[Layer], names: dict[str, str]) -> Callable[[NodeView], Step]:
    defaults = {"Elu": 1.0, "LeakyRelu": 0.01}
    function = FUNCTIONS.get(kind)

    def read(node: NodeView) -> Step:
        arguments: dict[str, Any] = {
            name: _shortest(node.attribute(attribute, defaults[SIMPLE[kind][0]]))
            for attribute, name in names.items()
        }
        return Step(node.label, (node.value(),), kind(**arguments), function=function)

    return read


def _shortest(value: float) -> float:
    """Return the number that was meant by an attribute, which has the precision of float32."""
    return float(str(np.float32(value)))


def _softmax(kind: type[Layer]) -> Callable[[NodeView], Step]:
    def read(node: NodeView) -> Step:
        return Step(node.label, (node.value(),), kind(), axis=node.attribute("axis", -1))

    return read


def _linear(label: str, x: str, names: tuple[str, ...], weight: Array, bias: Array | None) -> Step:
    if weight.ndim != 2:
        raise ValueError(f"has a weight of shape {weight.shape}, not of two axes")
    rows, columns = weight.shape
    layer, parameters = layers.Linear(rows, columns, bias=bias is not None), {"weight": weight}
    if bias is not None:
        is_row = bias.ndim <= 2 and bias.shape[-1:] in ((), (bias.size,))
        if bias.size not in (1, columns) or not is_row:
            raise ValueError(f"has a bias of shape {bias.shape}")
        parameters["bias"] = np.broadcast_to(bias.reshape(-1), (columns,))
    return Step(label, (x,), layer, parameters, names)


def _gemm(node: NodeView) -> Step:
    node.expect(alpha=1.0, beta=1.0, transA=0)
    turned = node.attribute("transB", 0)
    if turned not in (0, 1):
        raise ValueError(f"has transB={turned}")
    weight = node.constant(1)
    has_bias = len(node.inputs) > 2 and node.inputs[2] != ""
    names = (*node.inputs[1:], f"transB={turned}")
    bias = node.constant(2) if has_bias else None
    return _linear(node.label, node.value(), names, weight.T if turned else weight, bias)


def _matmul(node: NodeView) -> Step:
    return _linear(node.label, node.value(), (node.inputs[1],), node.constant(1), None)


def _rescale(node: NodeView, x: str, scale: float, offset: float) -> Step:
    return Step(
        node.label,
        (x,),
        layers.Rescale(scale, offset),
        function=lambda x: x * scale + offset,
    )


def _add(node: NodeView) -> Step:
    for value, constant in ((0, 1), (1, 0)):
        if not node.is_constant(constant):
            continue
        added, before = node.constant(constant), node.step_before(value)
        linear = before.layer if before is not None else None
        if (
            before is not None
            and isinstance(linear, layers.Linear)
            and not linear.bias
            and added.shape[-1:] == (linear.out_features,)
        ):
            names = *before.names, node.inputs[constant]
            weight = before.parameters["weight"]
            return _linear(node.label, before.inputs[0], names, weight, added)
        if added.size > 1:
            raise ValueError("adds a vector, which is understood after MatMul only")
        return _rescale(node, node.value(value), 1.0, node.number(constant))
    return _meeting(node, "sum")


def _mul(node: NodeView) -> Step:
    for value, constant in ((0, 1), (1, 0)):
        if node.is_constant(constant):
            return _rescale(node, node.value(value), node.number(constant), 0.0)
    return _meeting(node, "product")


def _sub(node: NodeView) -> Step:
    if node.is_constant(0):
        return _rescale(node, node.value(1), -1.0, node.number(0))
    return _rescale(node, node.value(0), 1.0, -node.number(1))


def _div(node: NodeView) -> Step:
    divisor = node.number(1)
    if divisor == 0:
        raise ValueError("divides by 0")
    return _rescale(node, node.value(0), 1 / divisor, 0.0)


def _neg(node: NodeView) -> Step:
    return _rescale(node, node.value(), -1.0, 0.0)


def _meeting(node: NodeView, how: Meeting) -> Step:
    inputs = tuple(node.value(i) for i in range(len(node.inputs)))
    if not inputs:
        raise ValueError("has no inputs")
    return Step(node.label, inputs, meeting=how)


def _sum(node: NodeView) -> Step:
    return _meeting(node, "sum")


def _concat(node: NodeView) -> Step:
    step = _meeting(node, "concatenate")
    step.axis = node.attribute("axis", 0)
    return step


def _gelu(node: NodeView) -> Step:
    layer = layers.GELU(approximate=node.attribute("approximate", "none"))
    return Step(node.label, (node.value(),), layer)


def _erf(node: NodeView) -> Step:
    return Step(node.label, (node.value(),), function=erf_of)


def erf_of(x: Array) -> Array:
    """Return the error function of each element."""
    return np.array([erf(value) for value in x])


def _pow(node: NodeView) -> Step:
    exponent = node.number(1)
    if exponent not in (2.0, 3.0):
        raise ValueError(f"has the exponent {exponent}")
    return Step(node.label, (node.value(),), function=lambda x: x**exponent)


def _flatten(node: NodeView) -> Step:
    node.expect(axis=1)
    return Step(node.label, (node.value(),), layers.Flatten())


def _reshape(node: NodeView) -> Step:
    zero_is_zero = node.attribute("allowzero", 0)  # else it means the axis as it is
    shape = node.constant(1)
    if shape.shape != (2,) or shape.dtype.kind != "i":
        raise ValueError("reshapes to anything but rows of one axis")
    rows, columns = map(int, shape)
    known = {-1, node.batch} if zero_is_zero else {0, -1, node.batch}
    if rows not in known or columns == 0 or rows == columns == -1:
        raise ValueError(f"reshapes to {(rows, columns)}")
    columns_or_none = columns if columns > 0 else None
    return Step(node.label, (node.value(),), layers.Flatten(), columns=columns_or_none)


READERS: dict[str, Callable[[NodeView], Step]] = {
    **{operator: _simple(kind, names) for kind, (operator, names) in SIMPLE.items()},
    **{operator: _softmax(kind) for kind, operator in SOFTMAXES.items()},
    "Add": _add,
    "Concat": _concat,
    "Div": _div,
    "Erf": _erf,
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _mul,
    "Neg": _neg,
    "Pow": _pow,
    "Reshape": _reshape,
    "Sub": _sub,
    "Sum": _sum,
}
