"""from_onnx: a network from an ONNX file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from chainrule.engine.backends import check_backend
from chainrule.errors import ModelFileError
from chainrule.interop.onnx.steps import READERS, Array, NodeView, Step
from chainrule.interop.onnx.tensors import constant_of, to_array
from chainrule.interop.onnx.ways import Ways
from chainrule.layers.graph import output_shapes
from chainrule.layers.linear import Linear
from chainrule.network import Sequential
from chainrule.plan.builder import Shape

OLDEST_OPSET = 13
FLOATS = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}


def from_onnx(path: str | os.PathLike[str], *, backend: str = "numba") -> Sequential:
    """Return the network that an ONNX file describes, to be used or trained further.

    It reads what :meth:`Sequential.to_onnx` writes, and what others write for the same layers:
    linear ones as Gemm, or MatMul and Add; activations, also SiLU and GELU that are written out;
    numbers that are added or multiplied, as :class:`Rescale`; Flatten, and Reshape that means it;
    Add, Sum, Mul and Concat where ways meet. Dropout and Identity are left out.

    Parameters
    ----------
    path : path of the file
    backend : "numba" or "numpy"
        What computes it.

    Returns
    -------
    Sequential
        Of the file's dtype. Linear layers that have weight and bias in common are in a
        :class:`Shared`; several outputs make a :class:`Branch`.

    Raises
    ------
    ModelFileError
        If the file is damaged, or holds what is not understood: it names the node and operator.
        Nothing in a file is executed, and no other file is read.
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
        return _Reader(model.graph).network(len(content), backend)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{path} cannot be read as a network: {error}") from None


def _check_version(model: onnx.ModelProto) -> None:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if not model.HasField("graph") or len(versions) != 1:
        raise ValueError("it holds no graph of ONNX operators")
    if not OLDEST_OPSET <= versions[0] <= newest:
        raise ValueError(f"it has opset {versions[0]}, but {OLDEST_OPSET} to {newest} are read")


class _Reader:
    """Reads a graph's nodes, one after the other. Errors are ValueError, with the node's name."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        if graph.sparse_initializer:
            raise ValueError("it has sparse tensors")
        self._constants: dict[str, Array] = {t.name: to_array(t) for t in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self._constants]
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, not one")
        (entry,) = inputs
        self._source = entry.name
        element = entry.type.tensor_type.elem_type
        if element not in FLOATS:
            raise ValueError(f"its input has type {element}, not float32 or float64")
        self._dtype = np.dtype(FLOATS[element])
        self._batch, self._shape = _dimensions(entry)
        self._steps: dict[str, Step] = {}
        self._others: dict[str, str] = {}  # names that mean the same as others
        for number, node in enumerate(graph.node):
            label = f"node {node.name or number} ({node.op_type})"
            try:
                self._read(node, label)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{label} {error}") from None
        self._outputs = [self._others.get(value.name, value.name) for value in graph.output]
        for name in self._outputs:
            if name not in self._steps and name != self._source:
                raise ValueError(f"its output {name!r} is given by no node")
        if not self._outputs:
            raise ValueError("it has no outputs")

    def _read(self, node: onnx.NodeProto, label: str) -> None:
        operator = node.op_type
        if node.domain not in ("", "ai.onnx"):
            raise ValueError(f"is of {node.domain!r}, and not understood")
        if not node.output:
            raise ValueError("has no output")
        output = node.output[0]
        if any(output in known for known in (self._steps, self._constants, self._others)):
            raise ValueError(f"gives {output!r} a second time")
        inputs = [self._others.get(name, name) for name in node.input]
        for name in inputs:
            if name and not (
                name in self._steps or name in self._constants or name == self._source
            ):
                raise ValueError(f"takes {name!r}, which no node before it gives")
        view = NodeView(
            label, inputs, _attributes(node, operator), self._constants, self._steps, self._batch
        )
        if operator == "Constant":
            self._constants[output] = constant_of(node)
        elif operator == "Identity":
            self._others[output] = inputs[0] if inputs else ""
        elif operator == "Dropout":
            if view.is_constant(2) and view.constant(2).any():
                raise ValueError("has training_mode true")
            self._others[output] = view.value()
        elif operator == "Transpose" and view.is_constant(0):
            axes = view.attribute("perm", [1, 0])
            if axes != [1, 0] or view.constant(0).ndim != 2:
                raise ValueError(f"has perm={axes}")
            self._constants[output] = view.constant(0).T
        elif operator in READERS:
            step = READERS[operator](view)
            view.finish()
            self._check_dtype(step)
            self._steps[output] = step
        else:
            raise ValueError("is not understood")

    def _check_dtype(self, step: Step) -> None:
        for array in step.parameters.values():
            if array.dtype != self._dtype:
                raise ValueError(f"has {array.dtype} among {self._dtype}")

    def network(self, size: int, backend: str) -> Sequential:
        """Return the network; ``size`` is the file's."""
        ways = Ways(self._source, self._steps)
        elements = ways.network(self._source, self._outputs)
        # What has its weight in common with another, but not its bias, gets one of its own.
        needed = sum(a.nbytes for of_one in ways.parameters.values() for a in of_one.values())
        if needed > 2 * size:
            raise ValueError(f"its layers need {needed:,} bytes of parameters, more than it holds")
        net = Sequential(*elements, seed=0, dtype=self._dtype, backend=backend)
        self._check_shapes(net, ways)
        views = net.parameters()
        for node in net.graph.nodes:
            if isinstance(node.layer, Linear) and node.is_first:
                for name, value in ways.parameters[id(node.layer)].items():
                    views[f"{node.home}.{name}"][...] = value
        return net

    def _check_shapes(self, net: Sequential, ways: Ways) -> None:
        """Compare what nodes say of axes and columns with the shapes that follow."""
        shapes = output_shapes(net.graph, self._shape, "its input")
        for position, node in enumerate(net.graph.nodes):
            step, shape = ways.checks.get(id(node.layer)), shapes[position]
            if step is None:
                continue
            if step.axis != -1 and (shape is None or step.axis != len(shape)):
                raise ValueError(f"{step.label} has axis={step.axis}, where the last is understood")
            if step.columns is not None and shape != (step.columns,):
                raise ValueError(f"{step.label} reshapes to {step.columns} columns, not to {shape}")


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
