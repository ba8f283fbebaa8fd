"""A network with several inputs as one that takes all their columns side by side, as one input."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from chainrule.layers.graph import INPUT, Graph, Node
from chainrule.layers.layer import Layer
from chainrule.models.sequential import Sequential
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arrays import batch_array
from chainrule.utils.inputs import arrays_of


def as_one_input(net: Sequential, x: ArrayLike) -> tuple[Sequential, NDArray[Any]]:
    """Return a network of one input, and its input: those given, unless there are several inputs.

    Errors are those of :meth:`Sequential.predict`, for the given network and x.
    """
    batch = net.check_input(x, "x")
    if net.graph.inputs == 1:
        return net, batch
    parts = [array.reshape(len(array), -1).astype(float) for array in arrays_of(batch)]
    return OneInput(net, batch.shape[1:]), np.concatenate(parts, axis=1)


@dataclass(frozen=True, repr=False)
class OneOfInputs(Layer):
    """The columns of one of several inputs, in its shape."""

    number: int
    first: int
    shape: Shape

    def __repr__(self) -> str:
        return f"x[{self.number}]"

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.shape

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        columns = plan.apply(
            "slice_columns", x, shape=(prod(self.shape),), numbers={"column": self.first}
        )
        return plan.reshape(columns, self.shape)


class OneInput(Sequential):
    """A copy of a network with several inputs, of these shapes, which takes them as one.

    Its parameters have the same names. Codes are not checked.
    """

    def __init__(
        self,
        net: Sequential,
        shapes: tuple[Shape, ...],
        dtype: DTypeLike | None = None,
        backend: str | None = None,
    ) -> None:
        super().__init__(
            *net.layers,
            seed=0,
            dtype=net.dtype if dtype is None else dtype,
            backend=net.backend if backend is None else backend,
        )
        self.values[:] = net.values
        self.training = net.training
        if net.frozen:
            self.freeze(*net.frozen)
        self._input_shapes, self._graph = shapes, _with_one_input(self._graph, shapes)
        self._clear_caches()

    def copy(self, dtype: DTypeLike | None = None, backend: str | None = None) -> OneInput:
        return OneInput(self, self._input_shapes, dtype, backend)

    def check_input(self, x: ArrayLike, name: str) -> Any:
        return batch_array(x, name, self.dtype)


def _with_one_input(graph: Graph, shapes: tuple[Shape, ...]) -> Graph:
    """Return a graph in which each input is the output of a node that takes its columns."""
    count, nodes, first = len(shapes), [], 0
    for i, shape in enumerate(shapes):
        path = f"x[{i}]"
        nodes.append(Node(path, OneOfInputs(i, first, shape), (INPUT,), path))
        first += prod(shape)
    for node in graph.nodes:
        # Input i has the place INPUT - i.
        inputs = (count + place if place >= 0 else INPUT - place for place in node.inputs)
        nodes.append(node._replace(inputs=tuple(inputs)))
    return Graph(tuple(nodes), tuple(count + output for output in graph.outputs))
