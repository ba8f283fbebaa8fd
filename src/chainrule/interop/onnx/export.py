"""Writing a network as an ONNX model: functions that write the nodes of each layer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chainrule import layers
from chainrule.interop.onnx.activations import WRITERS as ACTIVATIONS
from chainrule.interop.onnx.convolutions import WRITERS as CONVOLUTIONS
from chainrule.interop.onnx.images import WRITERS as IMAGES
from chainrule.interop.onnx.normalization import WRITERS as NORMALIZATIONS
from chainrule.interop.onnx.operators import SIMPLE, SOFTMAXES
from chainrule.interop.onnx.several_operators import WRITERS as OF_SEVERAL
from chainrule.interop.onnx.tables import WRITERS as TABLES
from chainrule.layers.graph import INPUT, Node, layer_text
from chainrule.layers.layer import Layer
from chainrule.layers.shapes import expected_shapes, last_lengths, output_shapes
from chainrule.models.sequential import Sequential, check_network
from chainrule.operations.operation import Shape
from chainrule.utils.arguments import integer
from chainrule.utils.arrays import all_finite
from chainrule.utils.files import write_whole
from chainrule.utils.inputs import one_or_tuple
from chainrule.utils.version import __version__

OPSET, IR_VERSION = 17, 8
LARGEST = (1 << 31) - (1 << 20)  # bytes of parameters: a protobuf has two gigabytes at most
ELEMENTS = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def to_onnx(
    net: Sequential,
    path: str | os.PathLike[str],
    *,
    input_shape: tuple[int, ...] | None = None,
) -> None:
    """Write a network as an ONNX file; see :meth:`chainrule.Sequential.to_onnx`."""
    check_network(net)
    for name, value in net.named_values().items():
        if not all_finite(value):
            raise ValueError(f"{name} holds NaN or infinity.")
    if net.params.nbytes > LARGEST:
        raise ValueError(
            f"The network has {net.params.nbytes:,} bytes of parameters, but an ONNX file has "
            f"{LARGEST:,} at most."
        )
    model = _model(net, _checked_shapes(net, input_shape))
    write_whole(path, model.SerializeToString())


def _checked_shapes(net: Sequential, shape: Any) -> tuple[Shape, ...]:
    """Return the shape of a row of each input: the given ones, or those of the first layers."""
    count = net.graph.inputs
    example = "(28, 28, 1)" if count == 1 else "((28, 28, 1), (3,))"
    if shape is not None:
        if not isinstance(shape, tuple | list):
            raise TypeError(f"input_shape must be a tuple such as {example}, not {shape!r}.")
        given = net.graph.input_shapes(tuple(shape))
        shapes = tuple(
            tuple(integer(n, "input_shape's length", least=1) for n in of_one) for of_one in given
        )
        net.output_shapes(one_or_tuple(shapes))
        return shapes
    known = expected_shapes(net.graph)
    found = tuple(of_one for of_one in known if of_one is not None)
    if len(found) < count or not _fit(net, found):
        raise ValueError(
            "The network takes inputs of several shapes: to_onnx needs one, without the batch, "
            f"such as input_shape={_possible_shape(net, known)}."
        )
    return found


def _fit(net: Sequential, shapes: tuple[Shape, ...]) -> bool:
    """Tell whether the network takes rows of these shapes; later layers may want more axes."""
    try:
        net.output_shapes(one_or_tuple(shapes))
    except ValueError:
        return False
    return True


def _possible_shape(net: Sequential, known: list[Shape | None]) -> Shape:
    """Return an example of the network's input shape: the least one of tables, or one of images."""
    channels, shapes = last_lengths(net.graph), []
    for i, shape in enumerate(known):
        least = [
            max(max(node.layer.indices) + 1, -min(node.layer.indices))
            for node in net.graph.nodes
            if node.inputs == (INPUT - i,) and isinstance(node.layer, layers.Columns)
        ]
        last = channels[INPUT - i] or 1
        examples: list[Shape] = [(28, 28, last), (28, last), (last,)]
        if least:
            examples = [(max(least),)]
        elif len(known) > 1 and shape is not None:
            examples = [shape]
        right = (example for example in examples if len(known) == 1 and _fit(net, (example,)))
        shapes.append(next(right, examples[0]))
    example: Shape = one_or_tuple(shapes)
    return example


def _model(net: Sequential, shapes: tuple[Shape, ...]) -> onnx.ModelProto:
    element, shape = ELEMENTS[net.dtype.name], one_or_tuple(shapes)
    writer, values = written(net, shape)
    outputs = []
    several = len(net.graph.outputs) > 1
    for head, (value, row) in enumerate(zip(values, net.output_shapes(shape), strict=True)):
        name = f"output_{head}" if several else "output"
        writer.nodes.append(helper.make_node("Identity", [value], [name], name))
        outputs.append(helper.make_tensor_value_info(name, element, ["batch", *row]))
    graph = helper.make_graph(
        writer.nodes,
        "chainrule",
        [
            helper.make_tensor_value_info(name, element, ["batch", *row])
            for name, row in zip(_names_of_inputs(net), shapes, strict=True)
        ],
        outputs,
        list(writer.initializers.values()),
    )
    return helper.make_model(
        graph,
        producer_name="chainrule",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def written(net: Sequential, shape: Shape) -> tuple[Writer, list[str]]:
    """Return the nodes and initializers of a network, and the names of its outputs.

    The input is called ``input``; of several, ``input_0``, ``input_1``...
    """
    writer = Writer(net)
    values = net.graph.at_inputs(_names_of_inputs(net))
    shapes: dict[int, Shape | None] = {
        **net.graph.at_inputs(net.graph.input_shapes(shape)),
        **dict(enumerate(output_shapes(net.graph, shape))),
    }
    for position, node in enumerate(net.graph.nodes):
        rule = RULES.get(type(node.layer))
        if rule is None:
            raise ValueError(
                f"{layer_text(node.layer)} (layer {node.path}) cannot be written as ONNX: only "
                "chainrule's own layers can."
            )
        writer.node, writer.shape = node, shapes[node.inputs[0]] or ()
        try:
            values[position] = rule(writer, node.layer, *(values[i] for i in node.inputs))
        except ValueError as error:
            raise ValueError(
                f"{layer_text(node.layer)} (layer {node.path}) cannot be written as ONNX: {error}."
            ) from None
    return writer, [values[position] for position in net.graph.outputs]


def _names_of_inputs(net: Sequential) -> list[str]:
    count = net.graph.inputs
    return ["input"] if count == 1 else [f"input_{i}" for i in range(count)]


class Writer:
    """Collects nodes; a value's name is its layer's path and the operator."""

    node: Node  # the one that is being written
    shape: Shape  # of a row of its first input

    def __init__(self, net: Sequential) -> None:
        self.dtype, self._values = net.dtype, net.named_values()
        self._names: Counter[str] = Counter()
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    @property
    def rank(self) -> int:
        """How many axes its first input has."""
        return 1 + len(self.shape)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; return the name of its output."""
        return self.add_several(1, operator, *inputs, **attributes)[0]

    def add_several(self, outputs: int, operator: str, *inputs: str, **options: Any) -> list[str]:
        """Append a node with several outputs; return their names."""
        names = [self._unique(operator) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, names[0], **options))
        return names

    def parameter(self, name: str, axes: tuple[int, ...] | None = None) -> str:
        """Return the name of a parameter or buffer of the layer; a shared one is stored once.

        ``axes`` is the order in which its axes are stored, by default its own.
        """
        value = f"{self.node.owner}.{name}"
        array = self._values[value]
        return self._keep(value, array if axes is None else array.transpose(axes))

    def number(self, value: Any) -> str:
        """Return the name of a constant, or of an array of them."""
        return self._keep(self._unique("constant"), np.array(value, self.dtype))

    def integers(self, values: list[int]) -> str:
        """Return the name of a constant row of integers."""
        return self._keep(self._unique("constant"), np.array(values, np.int64))

    def _keep(self, name: str, array: Any) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
            del self.initializers[name].dims[array.ndim :]  # ascontiguousarray changes () to (1,)
        return name

    def _unique(self, what: str) -> str:
        name = f"{self.node.path}/{what}"
        self._names[name] += 1
        count = self._names[name]
        return name if count == 1 else f"{name}_{count}"


def _simple(writer: Writer, layer: Layer, x: str) -> str:
    operator, arguments = SIMPLE[type(layer)]
    return writer.add(operator, x, **{a: getattr(layer, name) for a, name in arguments.items()})


def _softmax(writer: Writer, layer: Layer, x: str) -> str:
    return writer.add(SOFTMAXES[type(layer)], x, axis=-1)


def _linear(writer: Writer, layer: layers.Linear, x: str) -> str:
    weight = writer.parameter("weight")
    if not layer.bias:
        return writer.add("MatMul", x, weight)
    bias = writer.parameter("bias")
    if writer.rank == 2:
        return writer.add("Gemm", x, weight, bias)
    return writer.add("Add", writer.add("MatMul", x, weight), bias)


def _rescale(writer: Writer, layer: layers.Rescale, x: str) -> str:
    scaled = writer.add("Mul", x, writer.number(layer.scale))
    return writer.add("Add", scaled, writer.number(layer.offset)) if layer.offset else scaled


def _flatten(writer: Writer, layer: layers.Flatten, x: str) -> str:
    return writer.add("Flatten", x, axis=1)


def _identity(writer: Writer, layer: Layer, x: str) -> str:
    return x


def _residual(writer: Writer, layer: layers.Residual, *ends: str) -> str:
    return writer.add("Add", *ends)


def _parallel(writer: Writer, layer: layers.Parallel, *ends: str) -> str:
    if layer.combine == "concatenate":
        return writer.add("Concat", *ends, axis=-1)
    if layer.combine == "sum":
        return writer.add("Sum", *ends)
    first, *others = ends
    for other in others:
        first = writer.add("Mul", first, other)
    return first


# Branch and Shared have no node: their parts are nodes of the graph.
RULES: dict[type[Layer], Callable[..., str]] = {
    **dict.fromkeys(SIMPLE, _simple),
    **dict.fromkeys(SOFTMAXES, _softmax),
    **ACTIVATIONS,
    **CONVOLUTIONS,
    **IMAGES,
    **TABLES,
    **NORMALIZATIONS,
    **OF_SEVERAL,
    layers.Linear: _linear,
    layers.Rescale: _rescale,
    layers.Flatten: _flatten,
    layers.Identity: _identity,
    layers.Dropout: _identity,  # as in predict
    layers.Residual: _residual,
    layers.Parallel: _parallel,
    layers.Inputs: _parallel,
}
