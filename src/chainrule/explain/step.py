"""One layer of the chain by itself: its value, and its derivatives as matrices.

Computed in float64 with the NumPy twins, layer by layer, with nothing fused: an independent
computation of what the engine computes in one pass.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.graph import Node
from chainrule.layers.layer import Layer
from chainrule.models.sequential import Sequential

Float64 = NDArray[np.float64]

BLOCK = 1 << 18  # elements in one backward pass, so that a Jacobian needs little other memory


class LayerStep:
    """A layer with its input, its output and the loss's gradient by the output.

    Attributes
    ----------
    node : Node
        The layer in its place.
    x, y : arrays of shape (rows, size)
        Input and output, flat.
    gradient : array of y's shape
        The loss's derivative by ``y``; the backward pass sets it.
    """

    def __init__(self, node: Node, values: dict[str, Float64], x: Float64) -> None:
        self.node = node
        self._net = Sequential(node.layer, seed=0, dtype="float64", backend="numpy")
        self._net.training = False
        for name, value in values.items():
            self._net.named_values()[f"0.{name}"][...] = value
        self._input_shape = x.shape[1:]
        self.x = x.reshape(len(x), -1)
        output = self._net.forward(x)
        self.output_shape = output.shape[1:]
        self.y: Float64 = output.reshape(len(output), -1)
        self.gradient = np.zeros_like(self.y)

    @property
    def layer(self) -> Layer:
        """The layer itself."""
        return self.node.layer

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return len(self.y)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the layer's parameters by name."""
        return {name: parameter.shape for name, parameter in self.layer.parameters().items()}

    def jacobian_shape(
        self, parameter: str | None = None, operand: int = 0
    ) -> tuple[int, int, int]:
        """Return the shape of :meth:`jacobian`, or of :meth:`parameter_jacobian`."""
        columns = prod(self.parameter_shapes()[parameter]) if parameter else self.x.shape[1]
        return self.rows, self.y.shape[1], columns

    def backward_input(self, dy: Float64, operand: int = 0) -> Float64:
        """Return ``dy @ jacobian`` for each row, without building the Jacobian."""
        return self._run_backward(self.x, dy).reshape(self.x.shape)

    def jacobian(self, operand: int = 0) -> Float64:
        """Return dy/dx of each row: shape (rows, size of y, size of x)."""
        rows, size, inputs = self.jacobian_shape()
        result = np.empty((rows, size, inputs))
        at_once = max(1, BLOCK // (rows * max(size, inputs)))
        for first in range(0, size, at_once):
            count = min(at_once, size - first)
            # Each row is repeated, each time with the gradient of another output.
            dy = np.zeros((rows, count, size))
            dy[:, range(count), range(first, first + count)] = 1
            dx = self._run_backward(np.repeat(self.x, count, axis=0), dy.reshape(-1, size))
            result[:, first : first + count] = dx.reshape(rows, count, inputs)
        return result

    def parameter_gradient(self, parameter: str, dy: Float64, rows: slice = slice(None)) -> Float64:
        """Return ``dy @ parameter_jacobian``, summed over the rows."""
        self._run_backward(self.x[rows], dy)
        return self._net.gradients()[f"0.{parameter}"].copy()

    def parameter_jacobian(self, parameter: str) -> Float64:
        """Return dy/dparameter of each row: shape (rows, size of y, size of the parameter)."""
        result = np.empty(self.jacobian_shape(parameter))
        each_output = np.eye(self.y.shape[1])
        for row in range(self.rows):
            for output in range(self.y.shape[1]):
                dy = each_output[output : output + 1]
                gradient = self.parameter_gradient(parameter, dy, slice(row, row + 1))
                result[row, output] = gradient.reshape(-1)
        return result

    def parameter_columns(self, parameter: str, entries: NDArray[np.int64]) -> Float64:
        """Return dy/dentry of each row, for entries of the flat parameter.

        The shape is (rows, size of y, entries). It is found by bisection: if a random weighted sum
        of outputs depends on none of the entries, no output in it does. Usually few outputs depend
        on an entry.
        """
        rng = np.random.default_rng(0)
        result = np.zeros((*self.y.shape, len(entries)))
        pending = [np.arange(self.y.size)]  # all rows of the first output, then of the second ...
        while pending:
            cells = pending.pop()
            output, row = np.divmod(cells, self.rows)
            first, last = row.min(), row.max()
            dy = np.zeros((last - first + 1, self.y.shape[1]))
            dy[row - first, output] = 1 if len(cells) == 1 else rng.uniform(0.5, 1.5, len(cells))
            gradient = self.parameter_gradient(parameter, dy, slice(first, last + 1))
            derivatives = gradient.reshape(-1)[entries]
            if len(cells) == 1:
                result[row[0], output[0]] = derivatives
            elif derivatives.any():
                pending += np.array_split(cells, 2)
        return result

    def _run_backward(self, x: Float64, dy: Float64) -> Float64:
        output = self._net.forward(x.reshape(len(x), *self._input_shape))
        gradient: Float64 = self._net.backward(dy.reshape(output.shape))
        return gradient
