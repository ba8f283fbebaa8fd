"""A network's layers as a graph: their paths and names, their inputs and their shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.columns import Columns
from chainrule.layers.container import Branch, Container, Inputs, Shared
from chainrule.layers.layer import Buffer, Element, Group, Layer
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arrays import FloatArray
from chainrule.utils.terminal import printable

INPUT = -1  # the place of the network's input among the nodes; of several: -1, -2, -3...

T = TypeVar("T")


class Node(NamedTuple):
    """A layer at its place in the network.

    Attributes
    ----------
    path : str
        Such as ``"0.2"`` for the third layer of the element at 0.
    layer : Layer
    inputs : tuple of int
        The nodes whose outputs it takes; ``INPUT`` for the network's input, the first of several.
    owner : str
        The path that its parameters are named after: the node's path, or for a shared layer that of
        its first place.
    """

    path: str
    layer: Layer
    inputs: tuple[int, ...]
    owner: str

    @property
    def is_first(self) -> bool:
        """Whether this is the layer's first place; only a shared layer has others."""
        return self.owner == self.path


class Graph(NamedTuple):
    """Nodes in topological order, the positions of the network's outputs, how many inputs it has.

    The shape of the input is a tuple of shapes wherever there are several.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    inputs: int = 1

    @property
    def is_chain(self) -> bool:
        """Whether each layer's input is the output of the one before, and none is shared."""
        return len(self.outputs) == 1 and all(
            node.inputs == (position - 1,) and node.is_first
            for position, node in enumerate(self.nodes)
        )

    def at_inputs(self, values: Sequence[T]) -> dict[int, T]:
        """Return what belongs to each input, by the inputs' places."""
        return {INPUT - i: value for i, value in enumerate(values)}

    def input_shapes(self, shape: Shape) -> tuple[Shape, ...]:
        """Return the shape of each input; ValueError unless there is one for each."""
        if self.inputs == 1:
            return (shape,)
        shapes: tuple[Any, ...] = shape if isinstance(shape, tuple | list) else ()
        if len(shapes) != self.inputs or not all(isinstance(s, tuple | list) for s in shapes):
            raise ValueError(
                f"The network has {self.inputs} inputs: the shape of a row must be a tuple of "
                f"{self.inputs} shapes, one for each, not {shape!r}."
            )
        return tuple(map(tuple, shapes))

    def input_number(self, node: Node) -> int:
        """Return the number of the input that a node's first value comes from."""
        place = node.inputs[0]
        while place >= 0:
            place = self.nodes[place].inputs[0]
        return INPUT - place

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter by its name, shared ones once."""
        return {
            f"{node.owner}.{name}": parameter.shape
            for node in self.nodes
            for name, parameter in node.layer.parameters().items()
        }

    def buffers(self) -> dict[str, Buffer]:
        """Return each buffer by its name, shared ones once."""
        return {
            f"{node.owner}.{name}": buffer
            for node in self.nodes
            for name, buffer in node.layer.buffers().items()
        }

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter and each buffer by its name."""
        buffers = {name: buffer.shape for name, buffer in self.buffers().items()}
        return self.parameter_shapes() | buffers

    @property
    def differs_in_training(self) -> bool:
        """Whether some layer does something else in a training step than in a prediction."""
        return any(node.layer.differs_in_training for node in self.nodes)

    @property
    def rows_are_independent(self) -> bool:
        """Whether each row of a prediction depends on its own row of the input only."""
        return all(node.layer.rows_are_independent for node in self.nodes)

    def check_rows_are_independent(self, what: str) -> None:
        """Raise ValueError, naming ``what`` needs it, unless the rows of predictions are."""
        for node in self.nodes:
            if not node.layer.rows_are_independent:
                raise ValueError(
                    f"{what} needs a network whose rows do not depend on each other, but "
                    f"{layer_text(node.layer)} (layer {node.path}) takes the statistics of all "
                    "rows."
                )

    def first_values(self, rng: np.random.Generator) -> Iterator[tuple[str, FloatArray]]:
        """Yield each parameter's name and initial values."""
        for node in self.nodes:
            parameters = node.layer.parameters() if node.is_first else {}
            for name, parameter in parameters.items():
                fan_in = parameter.fan_in
                if fan_in is None:
                    fan_in = parameters["weight"].shape[0] if "weight" in parameters else 1
                yield f"{node.owner}.{name}", parameter.initializer(parameter.shape, fan_in, rng)


def graph_of(elements: Iterable[Element]) -> Graph:
    """Return the graph of a sequence of elements.

    Raises
    ------
    ValueError
        If Inputs are not the first element, or a Branch is not the last one.
    """
    placing = _Placing()
    outputs = placing.in_sequence(tuple(elements), "", "", INPUT, is_first=True, is_last=True)
    return Graph(tuple(placing.nodes), outputs, placing.inputs)


class _Placing:
    """Appends the elements as nodes, from the input on."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._owners: dict[Shared, str] = {}
        self.inputs = 1

    def in_sequence(
        self,
        elements: Sequence[Element],
        path: str,
        owner: str,
        x: int,
        *,
        is_first: bool = False,
        is_last: bool = False,
    ) -> tuple[int, ...]:
        """Place each after the one before; return the nodes of the last one's outputs.

        ``path`` and ``owner`` are the prefixes of the elements' paths and owners. ``is_first`` and
        ``is_last`` are whether they are at the beginning and at the end of the network.
        """
        ends: tuple[int, ...] = (x,)
        for i, element in enumerate(elements):
            begins_here = is_first and i == 0
            ends_here = is_last and i == len(elements) - 1
            names = f"{path}{i}", f"{owner}{i}"
            ends = self.place(element, *names, ends[0], is_first=begins_here, is_last=ends_here)
        return ends

    def place(
        self,
        element: Element,
        path: str,
        owner: str,
        x: int,
        *,
        is_first: bool = False,
        is_last: bool = False,
    ) -> tuple[int, ...]:
        """Place one element after node x; return the nodes of its outputs."""
        if isinstance(element, Group):
            names = f"{path}.", f"{owner}."
            return self.in_sequence(element.layers, *names, x, is_first=is_first, is_last=is_last)
        if not isinstance(element, Container):
            return self._append(path, element, (x,), owner)
        if isinstance(element, Branch) and not is_last:
            raise ValueError(
                f"Branch (layer {path}) has several outputs: it must be the last layer of the "
                "network."
            )
        if isinstance(element, Inputs):
            if not is_first:
                raise ValueError(
                    f"Inputs (layer {path}) takes the network's inputs: it must be the first layer "
                    "of the network."
                )
            self.inputs = len(element.parts)
        if isinstance(element, Shared):
            owner = self._owners.setdefault(element, owner)
        if element.is_parallel:
            own_inputs = isinstance(element, Inputs)
            ends = tuple(
                self.place(part, f"{path}.{i}", f"{owner}.{i}", INPUT - i if own_inputs else x)[0]
                for i, part in enumerate(element.parts)
            )
        else:
            ends = self.in_sequence(element.parts, f"{path}.", f"{owner}.", x)
        merged = element.merged_values(x, ends)
        return self._append(path, element, tuple(merged), owner) if merged else ends

    def _append(
        self, path: str, layer: Layer, inputs: tuple[int, ...], owner: str
    ) -> tuple[int, ...]:
        self.nodes.append(Node(path, layer, inputs, owner))
        return (len(self.nodes) - 1,)


def check_names(graph: Graph) -> None:
    """Raise an error unless all names are strings, and different."""
    paths: dict[str, str] = {}
    for node in graph.nodes:
        name, path = node.layer.name, node.path
        if name is None or not node.is_first:
            continue
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of layer {path} must be a text, not {name!r}.")
        if name != printable(name):
            raise ValueError(
                f"The name of layer {path} must not have control characters: {name!r}."
            )
        if name in paths:
            raise ValueError(f"Layers {paths[name]} and {path} are both named {name!r}.")
        paths[name] = path


def check_places(graph: Graph) -> None:
    """Raise ValueError if a layer that takes codes is given anything but columns of an input."""
    for node in graph.nodes:
        if node.layer.takes_codes and columns_before(graph, node) is None:
            raise ValueError(
                f"{layer_text(node.layer)} (layer {node.path}) takes codes: it must be given the "
                "network's input, or Columns of it, not the output of another layer."
            )


def columns_before(graph: Graph, node: Node) -> list[Columns] | None:
    """Return the layers that pick a node's input out of the network's; None if others compute."""
    found: list[Columns] = []
    while node.inputs[0] > INPUT:
        node = graph.nodes[node.inputs[0]]
        if not isinstance(node.layer, Columns):
            return None
        found.append(node.layer)
    return found[::-1]


def check_codes(
    graph: Graph, node: Node, x: NDArray[Any], name: str, column_names: Sequence[Any]
) -> None:
    """Raise ValueError, naming row and column of x, if it has a code that a node does not take."""
    columns: Sequence[int] | None = None
    for layer in columns_before(graph, node) or ():
        known = range(x.shape[-1]) if columns is None else columns
        columns = [known[i] for i in layer.selected_of(len(known))]
    node.layer.check_codes(x, name, f"layer {node.path}", columns, column_names)


def kind_of(layer: Layer) -> str:
    """Return a layer's class, and its name if it has one: ``Linear 'H'``."""
    return type(layer).__name__ + (f" {layer.name!r}" if layer.name else "")


def layer_text(layer: Layer) -> str:
    """Return a layer's repr; of a container, without its parts."""
    return layer.short_repr if isinstance(layer, Container) else repr(layer)


def lower(
    graph: Graph, plan: PlanBuilder, inputs: Sequence[Tensor], *, retain: bool = False
) -> list[Tensor]:
    """Append all layers' steps to ``plan``; return the outputs, each in its own buffer.

    With ``retain``, the gradient of each layer has its own buffer: a layer that returns its input
    becomes a copy if other layers read that input too.
    """
    tensors = graph.at_inputs(inputs)
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    for position, node in enumerate(graph.nodes):
        plan.layer, plan.prefix = position, f"{node.owner}."
        before = tensors[node.inputs[0]]
        tensor = node.layer.lower(plan, *(tensors[i] for i in node.inputs))
        if retain and tensor.buffer is before.buffer and uses[node.inputs[0]] > 1:
            tensor = plan.rescale(tensor, 1.0)
        tensors[position] = tensor
    outputs: list[Tensor] = []
    for position in graph.outputs:
        output = tensors[position]
        taken = any(output.buffer is other.buffer for other in outputs)
        outputs.append(plan.copy(output) if taken else output)
    return outputs
