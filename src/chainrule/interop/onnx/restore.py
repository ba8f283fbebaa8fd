"""from_onnx: a network from an ONNX file."""

from __future__ import annotations

import os
from math import prod

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from chainrule.engine.backends import check_backend
from chainrule.interop.onnx.graph import GraphReader
from chainrule.interop.onnx.step_graph import StepGraph
from chainrule.interop.onnx.steps import ImportStep
from chainrule.interop.onnx.tensors import Tensors
from chainrule.layers.graph import graph_of, output_shapes
from chainrule.models.errors import ModelFileError
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import all_finite

OLDEST_OPSET = 13
MOST_EXTRA_BYTES = 1 << 24  # that layers may take, whatever the file's size


def from_onnx(path: str | os.PathLike[str], *, backend: str = "numba") -> Sequential:
    """Return the network that an ONNX file describes, to be used or trained further.

    It reads what :meth:`Sequential.to_onnx` writes, and what others write for the same layers:
    linear ones as Gemm, or MatMul and Add; activations, also SiLU, GELU, Mish, Softplus and GLU
    that are written out, and Clip, Min, Max, HardSigmoid, Selu and Celu as chains that do the same;
    BatchNormalization; numbers that are added or multiplied, as :class:`Rescale`, and with one for
    each column (scalers) as part of the linear layer beside them; Flatten, and Reshape that means
    it; Add, Sub, Sum, Mul and Concat where branches merge. Dropout, Identity and a Cast to
    the type that is there are left out; so is what stands behind the network: a Squeeze of its one
    column, and labels (ArgMax, ZipMap), in whose place it gives their scores.

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
        reader = GraphReader(model.graph, tensors)
        return _network(reader, len(content) + sum(tensors.beside.values()), backend)
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


def _network(reader: GraphReader, size: int, backend: str) -> Sequential:
    """Return the network that a graph describes; ``size`` is that of its files."""
    limit = 2 * size + MOST_EXTRA_BYTES
    graph = StepGraph(reader.source, reader.steps, limit)
    elements = graph.network(reader.source, reader.outputs)
    simplifier = graph.simplifier
    # A layer that shares its weight with another, but not its bias, gets a copy of the weight.
    shapes = graph_of(elements).shapes().values()
    required = reader.dtype.itemsize * sum(map(prod, shapes))
    if required > limit:
        raise ValueError(f"its layers need {required:,} bytes of parameters, more than it holds")
    net = Sequential(*elements, seed=0, dtype=reader.dtype, backend=backend)
    _check_shapes(reader, net, simplifier.checks)
    views = net.named_values()
    for node in net.graph.nodes:
        if id(node.layer) in simplifier.parameters and node.is_first:
            for name, value in simplifier.parameters[id(node.layer)].items():
                with np.errstate(over="ignore"):
                    views[f"{node.owner}.{name}"][...] = value
    if not all_finite(net.values):
        raise ValueError("its numbers for columns are too large for its linear layers")
    return net


def _check_shapes(
    reader: GraphReader, net: Sequential, checks: dict[int, list[ImportStep]]
) -> None:
    """Compare what nodes say of axes and columns with the shapes that follow."""
    shapes = output_shapes(net.graph, reader.shape, "its input")
    for position, node in enumerate(net.graph.nodes):
        shape = shapes[position]
        for step in checks.get(id(node.layer), ()):
            if step.axis != -1 and (shape is None or step.axis != len(shape)):
                raise ValueError(f"{step.label} has axis={step.axis}, where the last is understood")
            if step.columns is not None and shape != (step.columns,):
                raise ValueError(f"{step.label} reshapes to {step.columns} columns, not to {shape}")
    for value, position in zip(reader.outputs, net.graph.outputs, strict=True):
        for ending in reader.endings:
            if ending.value == value:
                ending.check(shapes[position])
