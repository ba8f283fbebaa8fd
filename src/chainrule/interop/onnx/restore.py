"""from_onnx: a network from an ONNX file."""

from __future__ import annotations

import os
from math import prod

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from chainrule.engine.backends import check_backend
from chainrule.interop.onnx.endings import Ending
from chainrule.interop.onnx.graph import GraphReader
from chainrule.interop.onnx.step_graph import StepGraph
from chainrule.interop.onnx.steps import ImportStep
from chainrule.interop.onnx.tensors import MOST_EXTRA_BYTES, Tensors
from chainrule.layers.graph import graph_of
from chainrule.layers.shapes import output_shapes
from chainrule.models.errors import ModelFileError
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import all_finite
from chainrule.utils.files import check_path

OLDEST_OPSET = 13


def from_onnx(path: str | os.PathLike[str], *, backend: str = "numba") -> Sequential:
    """Return the network that an ONNX file describes, to be used or trained further.

    It reads files of :meth:`Sequential.to_onnx`, and other files with the same layers: linear ones
    as Gemm, or MatMul and Add; activations, also SiLU, GELU, Mish, Softplus and GLU in several
    operators, and Clip, Min, Max, HardSigmoid, Selu and Celu as equivalent chains;
    BatchNormalization, LayerNormalization, GroupNormalization and InstanceNormalization; Conv,
    ConvTranspose and pooling; Pad, Slice and Resize, as :class:`ZeroPad` and :class:`Upsample`;
    addition of and multiplication by a number, as :class:`Rescale`, or by a number for each column
    or channel (scalers), as part of a neighbouring linear layer or convolution; Flatten, and
    equivalent Reshape; Add, Sub, Sum, Mul and Concat where branches merge. Dropout, Identity and a
    Cast to the same type are left out; so are nodes after the network: a Squeeze of its only
    column, and labels (ArgMax, ZipMap), in whose place the output is the scores.

    Signals and images have their channels last in chainrule. Where the file has no Transpose before
    them, its input has them after the batch, and the network takes ``X.transpose(0, 2, 3, 1)``; its
    outputs have them last. A vector of the file is a column: ``codes[:, None]``.

    Parameters
    ----------
    path : path of the file
    backend : "numba" or "numpy"
        The network's backend.

    Returns
    -------
    Sequential
        In the file's dtype. Linear layers with common weight and bias are in a :class:`Shared`;
        several inputs are :class:`Inputs`, which must merge before anything else does, and several
        outputs a :class:`Branch`. A squeezed column is an output of shape (n, 1).

    Raises
    ------
    ModelFileError
        If the file is damaged, or has an unsupported node, which the message names. Nothing in a
        file is executed, and no other files are read except those of its tensors, in its folder or
        below.
    ValueError
        If there is no such backend.
    ImportError
        Without onnx: ``pip install "chainrule[onnx]"``.
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
    with open(check_path(path), "rb") as file:
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
    """Return the network of a graph; ``size`` is the number of bytes of its files."""
    limit = 2 * size + MOST_EXTRA_BYTES
    graph = StepGraph(reader.sources, reader.steps, limit)
    elements = graph.network(reader.outputs)
    simplifier = graph.simplifier
    # A layer with a common weight but another bias gets a copy of the weight.
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
        raise ValueError("its scales or offsets are too large to be merged into linear layers")
    return net


def _check_shapes(
    reader: GraphReader, net: Sequential, checks: dict[int, list[ImportStep]]
) -> None:
    """Compare the columns of nodes with the shapes in the network; refuse axes in doubt.

    The last axis of a value, whose number of axes is known from the file, is -1.
    """
    shapes = output_shapes(net.graph, reader.shape, "its input")
    for position, node in enumerate(net.graph.nodes):
        shape = shapes[position]
        for step in checks.get(id(node.layer), ()):
            _check_axis(step)
            if step.columns is not None and shape != (step.columns,):
                raise ValueError(f"{step.label} reshapes to {step.columns} columns, not to {shape}")
    for value, position in zip(reader.outputs, net.graph.outputs, strict=True):
        for ending in reader.endings:
            if ending.value == value:
                _check_axis(ending)
                ending.check(shapes[position])


def _check_axis(step: ImportStep | Ending) -> None:
    """Raise ValueError if a node has an axis of which nothing says that it is the last one."""
    if step.axis != -1:
        raise ValueError(
            f"{step.label} has axis={step.axis}, where only the last is supported: the file does "
            "not say how many axes its input has"
        )
