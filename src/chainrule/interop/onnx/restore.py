"""from_onnx: a network from an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from chainrule.arrays import all_finite
from chainrule.engine.backends import check_backend
from chainrule.errors import ModelFileError
from chainrule.interop.onnx.endings import BEHIND, ENDINGS, Ending
from chainrule.interop.onnx.readers import READERS
from chainrule.interop.onnx.steps import Array, NodeView, Step
from chainrule.interop.onnx.tensors import DTYPES, Tensors, type_name
from chainrule.interop.onnx.ways import Ways
from chainrule.layers.graph import graph_of, output_shapes
from chainrule.layers.linear import Linear
from chainrule.network import Sequential
from chainrule.plan.builder import Shape

OLDEST_OPSET = 13
FLOATS = ("float32", "float64")
NUMBERS = {  # of an input, besides
    *(TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16),
    *(TensorProto.UINT32, TensorProto.UINT64, TensorProto.FLOAT16),
}
ROOM = 1 << 24  # bytes that layers may need, whatever the file's size


def from_onnx(path: str | os.PathLike[str], *, backend: str = "numba") -> Sequential:
    """Return the network that an ONNX file describes, to be used or trained further.

    It reads what :meth:`Sequential.to_onnx` writes, and what others write for the same layers:
    linear ones as Gemm, or MatMul and Add; activations, also SiLU, GELU and Softplus that are
    written out, and Clip, Min, Max, HardSigmoid, HardSwish, Selu, Celu and PRelu as chains that do
    the same; numbers that are added or multiplied, as :class:`Rescale`, and with one for each
    column (scalers, BatchNormalization) as part of the linear layer beside them; Flatten, and
    Reshape that means it; Add, Sub, Sum, Mul and Concat where ways meet. Dropout, Identity and a
    Cast to the type that is there are left out; so is what stands behind the network: a Squeeze of
    its one column, and labels (ArgMax, ZipMap), in whose place it gives their scores.

    Parameters
    ----------
    path : path of the file
    backend : "numba" or "numpy"
        What computes it.

    Returns
    -------
    Sequential
        Of the file's dtype. Linear layers that have weight and bias in common are in a
        :class:`Shared`; several outputs make a :class:`Branch`. A column that was squeezed is one
        of shape (n, 1).

    Raises
    ------
    ModelFileError
        If the file is damaged, or holds what is not understood: it names the node and operator.
        Nothing in a file is executed, and no other file is read but those in its folder, or below,
        that it says hold its tensors.
    ValueError
        If there is no such backend.
    ImportError
        Without onnx, which ``pip install "chainrule[onnx]"`` brings.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), cr.GELU(), cr.Linear(3, 1), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.to_onnx(f"{folder}/model.onnx")
    ...     same = cr.from_onnx(f"{folder}/model.onnx")
    >>> same.layers
    (Linear(2, 3), GELU(approximate='none'), Linear(3, 1))
    """
    check_backend(backend)
    with open(path, "rb") as file:
        content = file.read()
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelFileError(f"{path} is no ONNX file, or a damaged one: {error}") from None
    try:
        _check_version(model)
        tensors = Tensors(os.path.dirname(os.fspath(path)) or os.curdir)
        reader = _Reader(model.graph, tensors)
        return reader.network(len(content) + sum(tensors.beside.values()), backend)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read as a network: {error}") from None


def _check_version(model: onnx.ModelProto) -> None:
    versions = {o.version for o in model.opset_import if o.domain in ("", "ai.onnx")}
    newest = onnx.defs.onnx_opset_version()
    if not model.HasField("graph") or len(versions) != 1:
        raise ValueError("it holds no graph of ONNX operators")
    (version,) = versions
    if version < OLDEST_OPSET:
        raise ValueError(
            f"it has opset {version}, but {OLDEST_OPSET} to {newest} are read: "
            f"onnx.version_converter.convert_version(model, 18) may make one of it"
        )
    if version > newest:
        raise ValueError(f"it has opset {version}, which needs a newer onnx than is installed")


class _Reader:
    """Reads a graph's nodes, one after the other. Errors are ValueError, with the node's name."""

    def __init__(self, graph: onnx.GraphProto, tensors: Tensors) -> None:
        if graph.sparse_initializer:
            raise ValueError("it has sparse tensors")
        self._tensors = tensors
        # Names of classes, which only labels are made of.
        self._texts = {t.name for t in graph.initializer if t.data_type == TensorProto.STRING}
        self._constants: dict[str, Array] = {
            tensor.name: tensors.array(tensor)
            for tensor in graph.initializer
            if tensor.name not in self._texts
        }
        given = self._texts | self._constants.keys()
        inputs = [value for value in graph.input if value.name not in given]
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, not one")
        (entry,) = inputs
        self._source = entry.name
        self._dtype = np.dtype(_dtype_of(entry, graph.node))
        self._batch, self._shape = _dimensions(entry)
        self._steps: dict[str, Step] = {}
        self._others: dict[str, str] = {}  # names that mean the same as others
        self._endings: dict[str, Ending] = {}
        for number, node in enumerate(graph.node):
            label = f"node {node.name or number} ({node.op_type})"
            try:
                self._read(node, label)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{label} {error}") from None
        self._outputs = self._values([value.name for value in graph.output])
        for name in self._outputs:
            if name not in self._steps and name != self._source:
                raise ValueError(f"its output {name!r} is given by no node")
        if not self._outputs:
            raise ValueError("it has no outputs")

    def _values(self, outputs: list[str]) -> list[str]:
        """Return the values that a network gives for these outputs, its scores for labels."""
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
        if not node.output:
            raise ValueError("has no output")
        output = node.output[0]
        known = self._steps, self._constants, self._others, self._endings, self._texts
        if output == self._source or any(output in names for names in known):
            raise ValueError(f"gives {output!r} a second time")
        inputs = [self._others.get(name, name) for name in node.input]
        for name in inputs:
            if name and name != self._source and not any(name in names for names in known):
                raise ValueError(f"takes {name!r}, which no node before it gives")
        behind = [self._endings[name] for name in inputs if name in self._endings]
        if behind:
            if node.op_type not in BEHIND:
                raise ValueError(f"follows {behind[0].label}, which is understood at the end only")
            self._endings[output] = behind[0]
            return
        for name in inputs:
            if name in self._texts:
                raise ValueError(f"takes {name!r}, which holds texts")
        view = NodeView(
            label, inputs, _attributes(node, operator), self._constants, self._steps, self._batch
        )
        if operator == "Constant":
            self._constants[output] = self._tensors.constant(node)
        elif operator == "Identity":
            self._others[output] = inputs[0] if inputs else ""
        elif operator == "Dropout":
            if view.is_constant(2) and view.constant(2).any():
                raise ValueError("has training_mode true")
            self._others[output] = view.value()
        elif operator == "Cast":
            self._cast(view, output)
        elif operator == "Transpose" and view.is_constant(0):
            axes = view.attribute("perm", [1, 0])
            if axes != [1, 0] or view.constant(0).ndim != 2:
                raise ValueError(f"has perm={axes}")
            self._constants[output] = view.constant(0).T
        elif operator in ENDINGS and (ending := ENDINGS[operator](view)) is not None:
            view.finish()
            self._endings[output] = ending
        elif operator in READERS:
            step = READERS[operator](view)
            view.finish()
            self._check_dtype(step)
            self._steps[output] = step
        else:
            raise ValueError(
                "is not understood; the documentation of from_onnx says which operators are"
            )

    def _cast(self, view: NodeView, output: str) -> None:
        dtype = DTYPES.get(view.attribute("to", 0), "another type")
        if view.is_constant(0) and dtype in FLOATS:
            self._constants[output] = view.constant(0).astype(dtype)
        elif dtype == self._dtype:
            self._others[output] = view.value()
        elif dtype in FLOATS:  # the same numbers
            self._endings[output] = Ending(view.label, view.value())
        else:
            raise ValueError(f"casts {self._dtype} to {dtype}")

    def _check_dtype(self, step: Step) -> None:
        for array in step.parameters.values():
            if array.dtype != self._dtype:
                raise ValueError(f"has {array.dtype} among {self._dtype}")

    def network(self, size: int, backend: str) -> Sequential:
        """Return the network; ``size`` is the file's."""
        room = 2 * size + ROOM
        ways = Ways(self._source, self._steps, room)
        elements = ways.network(self._source, self._outputs)
        tidying = ways.tidying
        net_graph = graph_of(elements)
        # What has its weight in common with another, but not its bias, gets one of its own.
        needed = self._dtype.itemsize * sum(map(prod, net_graph.parameter_shapes().values()))
        if needed > room:
            raise ValueError(f"its layers need {needed:,} bytes of parameters, more than it holds")
        net = Sequential(*elements, seed=0, dtype=self._dtype, backend=backend)
        self._check_shapes(net, tidying.checks)
        views = net.parameters()
        for node in net.graph.nodes:
            if isinstance(node.layer, Linear) and node.is_first:
                for name, value in tidying.parameters[id(node.layer)].items():
                    with np.errstate(over="ignore"):
                        views[f"{node.home}.{name}"][...] = value
        if not all_finite(net.params):
            raise ValueError("its numbers for columns are too large for its linear layers")
        return net

    def _check_shapes(self, net: Sequential, checks: dict[int, list[Step]]) -> None:
        """Compare what nodes say of axes and columns with the shapes that follow."""
        shapes = output_shapes(net.graph, self._shape, "its input")
        for position, node in enumerate(net.graph.nodes):
            shape = shapes[position]
            for step in checks.get(id(node.layer), ()):
                if step.axis != -1 and (shape is None or step.axis != len(shape)):
                    raise ValueError(
                        f"{step.label} has axis={step.axis}, where the last is understood"
                    )
                if step.columns is not None and shape != (step.columns,):
                    raise ValueError(
                        f"{step.label} reshapes to {step.columns} columns, not to {shape}"
                    )
        for value, position in zip(self._outputs, net.graph.outputs, strict=True):
            for ending in self._endings.values():
                if ending.value == value:
                    ending.check(shapes[position])


def _operator(node: onnx.NodeProto) -> str:
    """Return how the tables here call a node's operator."""
    if node.domain in ("", "ai.onnx"):
        return str(node.op_type)
    return f"{node.domain}.{node.op_type}"


def _dtype_of(entry: onnx.ValueInfoProto, nodes: Sequence[onnx.NodeProto]) -> str:
    """Return the network's dtype: the input's, or what each node that takes it makes of it."""
    element = entry.type.tensor_type.elem_type
    made = set()
    for node in nodes:
        if entry.name in node.input:
            to = TensorProto.FLOAT if _operator(node) == "ai.onnx.ml.Scaler" else 0
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
        attributes[attribute.name] = value if isinstance(value, int | float | str) else list(value)
    return attributes


def _dimensions(entry: onnx.ValueInfoProto) -> tuple[int | None, Shape | None]:
    """Return the input's batch, and the shape of a row, each None where it is not said."""
    if not entry.type.tensor_type.HasField("shape"):
        return None, None
    dimensions = [
        d.dim_value if d.HasField("dim_value") else None for d in entry.type.tensor_type.shape.dim
    ]
    if not dimensions:
        raise ValueError("its input has no axes")
    batch, *row = dimensions
    if any(n is not None and n < 1 for n in row):
        raise ValueError(f"its input has shape {tuple(dimensions)}")
    return batch, None if None in row else tuple(n for n in row if n is not None)
