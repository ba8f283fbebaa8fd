"""Where branches of the network merge: the merged value, and its derivatives by the operands."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from chainrule.explain.step import Float64, LayerStep
from chainrule.layers.container import Parallel
from chainrule.layers.graph import Node


class MergeStep(LayerStep):
    """A container that merges values: it adds, multiplies or concatenates them.

    Attributes and methods are those of :class:`LayerStep`; ``operand`` is the position
    of the value by which to differentiate.
    """

    def __init__(self, node: Node, values: Sequence[Float64]) -> None:
        self.node = node
        self._values = values
        self._combine = node.layer.combine if isinstance(node.layer, Parallel) else "sum"
        value = self._combined(values)
        self.output_shape = value.shape[1:]
        self.y = value.reshape(len(value), -1)
        self.gradient = np.zeros_like(self.y)

    def _combined(self, values: Sequence[Float64]) -> Float64:
        if self._combine == "concatenate":
            return np.concatenate(values, axis=-1)
        combined: Float64 = (np.sum if self._combine == "sum" else np.prod)(values, axis=0)
        return combined

    def jacobian_shape(
        self, parameter: str | None = None, operand: int = 0
    ) -> tuple[int, int, int]:
        return self.rows, self.y.shape[1], prod(self._values[operand].shape[1:])

    def backward_input(self, dy: Float64, operand: int = 0) -> Float64:
        gradient = dy.reshape(len(dy), *self.output_shape)
        value = self._values[operand]
        if self._combine == "product":
            others = [other for i, other in enumerate(self._values) if i != operand]
            gradient = gradient * self._combined(others)
        elif self._combine == "concatenate":
            first = sum(before.shape[-1] for before in self._values[:operand])
            gradient = gradient[..., first : first + value.shape[-1]]
        return gradient.reshape(len(dy), -1)

    def jacobian(self, operand: int = 0) -> Float64:
        by_output = [
            self.backward_input(np.broadcast_to(unit, self.y.shape), operand)
            for unit in np.eye(self.y.shape[1])
        ]
        return np.stack(by_output, axis=1)
