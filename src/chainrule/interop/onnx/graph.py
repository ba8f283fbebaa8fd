"""Reading an ONNX graph node by node, as steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper

from chainrule import layers
from chainrule.interop.onnx.constants import folded
from chainrule.interop.onnx.endings import BEHIND, ENDINGS, Ending
from chainrule.interop.onnx.images import READERS as OF_IMAGES
from chainrule.interop.onnx.layouts import as_its_inputs, channels_first, in_file_order
from chainrule.interop.onnx.readers import READERS
from chainrule.interop.onnx.shapes import Shapes
from chainrule.interop.onnx.steps import Array, ImportStep, Known, NodeView, channels_last
from chainrule.interop.onnx.tensors import DTYPES, MOST_EXTRA_BYTES, Tensors, type_name
from chainrule.operations.operation import Shape
from chainrule.utils.inputs import one_or_tuple

OF_OTHERS = {"Pad", "ReduceMax", "Resize", "Slice", "Unsqueeze"}
# Operators whose channels are after the batch.
WINDOWS = {"Conv", "ConvTranspose"} | OF_IMAGES.keys() - OF_OTHERS
NORMALIZATIONS = {"BatchNormalization", "GroupNormalization", "InstanceNormalization"}
# Operators behind which another axis may be the one after the batch.
OTHER_AXES = {"Flatten", "Gather", "Gemm", "MatMul", "Shape", "Transpose"}
OTHER_NUMBER_OF_AXES = {"ReduceMax", "ReduceMean", "Reshape", "Squeeze", "Unsqueeze"}
Channels = Literal["first", "last", "none"]
FLOATS = ("float32", "float64")
CODES = ("int32", "int64")
NUMBERS = {  # further types of an input
    *(TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16),
    *(TensorProto.UINT32, TensorProto.UINT64, TensorProto.FLOAT16),
}


class GraphReader:
    """Reads a graph's nodes in order. Errors are ValueError, with the node's name.

    Attributes
    ----------
    sources : list of str
        The inputs' names.
    dtype : np.dtype
        The network's.
    shape : tuple of int or None
        The shape of a row of the input; a tuple of those of several, None if one is not known.
    steps : dict of str to ImportStep
        By the names of their outputs.
    outputs : list of str
        The names of the network's outputs.
    endings : list of Ending
        The nodes after the network's outputs.
    """

    def __init__(self, graph: onnx.GraphProto, tensors: Tensors) -> None:
        if graph.sparse_initializer:
            raise ValueError("it has sparse tensors")
        self._tensors = tensors
        # Texts are names of classes, which only endings may use.
        self._texts = {t.name for t in graph.initializer if t.data_type == TensorProto.STRING}
        self._constants: dict[str, Array] = {
            tensor.name: tensors.array(tensor)
            for tensor in graph.initializer
            if tensor.name not in self._texts
        }
        # What may be computed of constants: a Cast at most doubles each.
        self._bytes_left = 2 * sum(array.nbytes for array in self._constants.values())
        self._bytes_left += MOST_EXTRA_BYTES
        given = self._texts | self._constants.keys()
        inputs = [value for value in graph.input if value.name not in given]
        if not inputs:
            raise ValueError("it has no inputs")
        self.sources = [entry.name for entry in inputs]
        dtype, *others = {_dtype_of(entry, graph) for entry in inputs}
        if others:
            raise ValueError(f"its inputs have {dtype} and {others[0]}")
        self.dtype = np.dtype(dtype)
        batches, shapes = zip(*(_dimensions(entry, graph) for entry in inputs), strict=True)
        self._batch = next((batch for batch in batches if batch is not None), None)
        self.steps: dict[str, ImportStep] = {}
        self._shapes_of_sources: dict[str, Known] = {}  # where the network's differ from the file's
        for i, (name, shape) in enumerate(zip(self.sources, shapes, strict=True)):
            self.sources[i] = self._source(name, shape, _channels_of(graph, name, shape))
        shapes = tuple(
            self._shapes_of_sources.get(name, shape)
            for name, shape in zip(self.sources, shapes, strict=True)
        )
        self._shapes = Shapes(self.steps, dict(zip(self.sources, shapes, strict=True)))
        self.shape: Shape | None = _whole(shapes)
        self._others: dict[str, str] = {}  # aliases: a name, and the one of the same value
        self._endings: dict[str, Ending] = {}
        for number, node in enumerate(graph.node):
            label = f"node {node.name or number} ({node.op_type})"
            try:
                self._read(node, label)
            except (OverflowError, TypeError, ValueError) as error:
                raise ValueError(f"{label} {error}") from None
        self.outputs = self._values([value.name for value in graph.output])
        for name in self.outputs:
            if name not in self.steps and name not in self.sources:
                raise ValueError(f"its output {name!r} is the output of no node")
        if not self.outputs:
            raise ValueError("it has no outputs")
        own = {name: self._as_output(name) for name in self.outputs}
        self.outputs = [own[name] for name in self.outputs]
        self.endings = [
            replace(ending, value=own.get(ending.value, ending.value))
            for ending in self._endings.values()
        ]

    def _as_output(self, name: str) -> str:
        """Return a value with its channels last, and its columns in the file's order."""
        last = channels_last(self.steps, name)
        if last is not None:
            return last
        label = f"its output {name!r}"
        try:
            return in_file_order(self._view(label, [name], {}, ()), name)
        except ValueError as error:
            raise ValueError(f"{label} {error}") from None

    def _source(self, name: str, shape: Known | None, channels: Channels) -> str:
        """Return the name of the network's input in place of the file's.

        Its channels come last; a vector is a column.
        """
        if channels == "last":
            return name
        source = f"{name}, channels last"
        if channels == "first":
            self.steps[name] = channels_first(ImportStep(name, (source,), (layers.Identity(),)))
            own = None if shape is None else (*shape[1:], shape[0])
        else:
            self.steps[name] = ImportStep(name, (source,), (layers.Rescale(1.0),), ones=-1)
            own = None if shape is None else (*shape, 1)
        if own is not None:
            self._shapes_of_sources[source] = own
        return source

    def _view(
        self, label: str, inputs: list[str], attributes: dict[str, Any], outputs: Sequence[str]
    ) -> NodeView:
        known = self._constants, self.steps, self._batch
        return NodeView(label, inputs, attributes, *known, outputs, self._shapes)

    def _values(self, outputs: list[str]) -> list[str]:
        """Return the network's values for these outputs, with scores in place of labels."""
        endings = [self._endings.get(name) for name in outputs]
        values = [
            self._others.get(name, name) if ending is None else ending.value
            for name, ending in zip(outputs, endings, strict=True)
        ]
        labels = [ending is not None and ending.is_label for ending in endings]
        scores = [value for value, is_label in zip(values, labels, strict=True) if not is_label]
        return [
            value
            for i, value in enumerate(values)
            if not labels[i] or value not in scores + values[:i]
        ]

    def _read(self, node: onnx.NodeProto, label: str) -> None:
        operator = _operator(node)
        if not any(node.output[:1]):
            raise ValueError("has no output")
        _check_inputs(node)
        output = node.output[0]
        known = self.steps, self._constants, self._others, self._endings, self._texts
        if output in self.sources or any(output in names for names in known):
            raise ValueError(f"gives {output!r} a second time")
        inputs = [self._others.get(name, name) for name in node.input]
        for name in inputs:
            if name and not any(name in names for names in (self.sources, *known)):
                raise ValueError(f"takes {name!r}, which is the output of no node before it")
        behind = [self._endings[name] for name in inputs if name in self._endings]
        if behind and node.op_type in BEHIND:
            self._endings[output] = behind[0]
            return
        for name in inputs:
            if name in self._texts:
                raise ValueError(f"takes {name!r}, which holds texts")
        # Elementwise functions may be computed before the one column is squeezed.
        inputs = [self._endings[name].value if name in self._endings else name for name in inputs]
        view = self._view(label, inputs, _attributes(node, operator), node.output)
        if behind:
            self._read_behind(view, operator, output, behind)
            return
        if operator == "Constant":
            self._constants[output] = self._tensors.constant(node)
            self._bytes_left += 2 * self._constants[output].nbytes
        elif operator == "Identity":
            self._others[output] = inputs[0] if inputs else ""
        elif operator == "Dropout":
            if view.is_constant(2) and view.constant(2).any():
                raise ValueError("has training_mode true")
            self._others[output] = view.value()
        elif (constant := folded(operator, view)) is not None:
            view.finish()
            self._constants[output] = constant
            self._take_memory(constant, inputs)
        elif operator == "Cast":
            self._cast(view, output)
        elif operator in ENDINGS and (ending := ENDINGS[operator](view)) is not None:
            view.finish()
            self._endings[output] = _of_channels(view, ending)
        elif operator in READERS:
            step = READERS[operator](view)
            view.finish()
            self._check_dtype(step)
            step = self.steps[output] = as_its_inputs(view, step)
            if step.part is None:
                step.axis = _checked_axis(view, step.axis, step.inputs[0])
            self._shapes.of(output)  # now, as nodes before it are known
        else:
            raise ValueError(
                "is not supported; the documentation of from_onnx lists the supported operators"
            )

    def _read_behind(
        self, view: NodeView, operator: str, output: str, behind: list[Ending]
    ) -> None:
        """Read a node that follows a column which was squeezed."""
        step = READERS[operator](view) if operator in READERS else None
        values = sum(view.has(i) and not view.is_constant(i) for i in range(len(view.inputs)))
        are_columns = len(behind) == values and all(ending.is_column for ending in behind)
        if step is None or not step.is_elementwise or not are_columns:
            raise ValueError(f"follows {behind[0].label}, which is supported at the end only")
        view.finish()
        value = f"{output}, not squeezed"
        self.steps[value] = step
        self._endings[output] = replace(behind[0], value=value)

    def _take_memory(self, constant: Array, inputs: list[str]) -> None:
        """Raise ValueError if what is computed of constants takes far more memory than they do."""
        is_new = all(constant is not self._constants.get(name) for name in inputs)
        if is_new and constant.base is None:  # otherwise a view
            self._bytes_left -= constant.nbytes
        if self._bytes_left < 0:
            raise ValueError("computes more bytes of known numbers than the file holds")

    def _cast(self, view: NodeView, output: str) -> None:
        dtype = DTYPES.get(view.attribute("to", 0), "another type")
        if dtype == self.dtype:
            self._others[output] = view.value()
        elif dtype in CODES:
            self.steps[output] = ImportStep(view.label, (view.value(),), is_codes=True)
        elif dtype in FLOATS:  # the same numbers
            self._endings[output] = Ending(view.label, view.value())
        else:
            raise ValueError(f"casts {self.dtype} to {dtype}")

    def _check_dtype(self, step: ImportStep) -> None:
        for array in step.parameters.values():
            if array.dtype != self.dtype:
                raise ValueError(f"has {array.dtype} among {self.dtype}")


def _operator(node: onnx.NodeProto) -> str:
    """Return the name of a node's operator in the tables of this package."""
    if node.domain in ("", "ai.onnx"):
        return str(node.op_type)
    return f"{node.domain}.{node.op_type}"


def _check_inputs(node: onnx.NodeProto) -> None:
    """Raise ValueError unless a node has as many inputs as its operator takes, if it is ONNX's."""
    try:
        schema = onnx.defs.get_schema(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
    except onnx.defs.SchemaError:
        return
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise ValueError(
            f"has {len(node.input)} inputs, but takes {schema.min_input} to {schema.max_input}"
        )


def _channels_of(graph: onnx.GraphProto, name: str, shape: Known | None) -> Channels:
    """Return where an input has its channels, or columns; "none" if the file adds their axis.

    Of images and signals, they are where the first operator behind it that tells it expects them.
    """
    if shape == ():
        return "none"
    telling = WINDOWS if shape is None else WINDOWS | NORMALIZATIONS
    reached, with_axis = {name}, set[str]()
    for node in graph.node:
        if reached.isdisjoint(node.input):
            continue
        has_axis = node.op_type == "Unsqueeze" or not with_axis.isdisjoint(node.input)
        if node.op_type in telling and (has_axis or shape is None or len(shape) > 1):
            return "none" if has_axis else "first"
        if node.op_type not in OTHER_AXES:
            reached.update(node.output)
            with_axis.update(node.output if has_axis else ())
    return "last"


def _is_matrix(graph: onnx.GraphProto, name: str) -> bool:
    """Tell whether a value must have two axes, as a Gemm takes it, or what has as many axes."""
    reached = {name}
    for node in graph.node:
        if reached.isdisjoint(node.input):
            continue
        if node.op_type == "Gemm":
            return True
        if node.op_type not in OTHER_AXES - {"MatMul"} | OTHER_NUMBER_OF_AXES:
            reached.update(node.output)
    return False


def _of_channels(node: NodeView, ending: Ending) -> Ending:
    """Return the labels of images with their channels first as those of the last axis."""
    if node.channels_last(ending.value) is None:
        return replace(ending, axis=_checked_axis(node, ending.axis, ending.value))
    if not ending.is_label or ending.axis != 1:
        raise ValueError("is supported along the channels of images or signals only, axis=1")
    return replace(ending, axis=-1)


def _checked_axis(node: NodeView, axis: int, value: str) -> int:
    """Return -1 for the last axis of a value, if the number of its axes is known, else the axis.

    Raises
    ------
    ValueError
        If it is another one.
    """
    shape = node.shape(value)
    if axis == -1 or shape is None:
        return axis
    if axis != len(shape):
        raise ValueError(f"has axis={axis}, where only the last is supported")
    return -1


def _whole(shapes: Sequence[Known | None]) -> Shape | None:
    """Return the shape of a row, a tuple of those of several inputs; None if it is not known."""
    known = [
        tuple(n for n in shape if n is not None)
        for shape in shapes
        if shape is not None and None not in shape
    ]
    return one_or_tuple(known) if len(known) == len(shapes) else None


def _dtype_of(entry: onnx.ValueInfoProto, graph: onnx.GraphProto) -> str:
    """Return the network's dtype: the input's, or that of the outputs of all nodes that take it."""
    element = entry.type.tensor_type.elem_type
    tables = {tensor.name: tensor.data_type for tensor in graph.initializer}
    made = set()
    for node in graph.node:
        if entry.name in node.input:
            to = TensorProto.FLOAT if _operator(node) == "ai.onnx.ml.Scaler" else 0
            if _operator(node) == "Gather":
                to = tables.get(node.input[0], 0)
            made.add(next((a.i for a in node.attribute if a.name == "to"), to))
    dtype = DTYPES.get(made.pop() if len(made) == 1 else 0)
    if dtype not in FLOATS:
        dtype = DTYPES.get(element)
    if dtype not in FLOATS or element not in {*DTYPES, *NUMBERS}:
        raise ValueError(f"its input has type {type_name(element)}, not FLOAT or DOUBLE")
    return dtype


def _attributes(node: onnx.NodeProto, operator: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if operator == "Constant":  # has a tensor, perhaps
        return attributes
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode()
        is_one = isinstance(value, int | float | str | onnx.TensorProto)
        attributes[attribute.name] = value if is_one else list(value)
    return attributes


def _dimensions(
    entry: onnx.ValueInfoProto, graph: onnx.GraphProto
) -> tuple[int | None, Known | None]:
    """Return the input's batch size and the shape of a row; None is what is not specified."""
    if not entry.type.tensor_type.HasField("shape"):
        return None, (None,) if _is_matrix(graph, entry.name) else None
    dimensions = [
        d.dim_value if d.HasField("dim_value") else None for d in entry.type.tensor_type.shape.dim
    ]
    if not dimensions:
        raise ValueError("its input has no axes")
    batch, *row = dimensions
    if any(n is not None and n < 1 for n in row):
        raise ValueError(f"its input has shape {tuple(dimensions)}")
    return batch, tuple(row)
