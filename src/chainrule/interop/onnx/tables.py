"""Tables of which codes pick rows, and columns: how they are written, and how they are read."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.images import without_ones
from chainrule.interop.onnx.steps import ImportStep, NodeView
from chainrule.layers.layer import Layer


def _embedding(writer: Writer, layer: layers.Embedding, x: str) -> str:
    codes = writer.add("Cast", x, to=TensorProto.INT64)
    return writer.add("Gather", writer.parameter("weight"), codes, axis=0)


def _columns(writer: Writer, layer: layers.Columns, x: str) -> str:
    return writer.add("Gather", x, writer.integers(list(layer.indices)), axis=-1)


def _read_gather(node: NodeView) -> ImportStep:
    if not node.is_constant(0):
        axis, columns = node.attribute("axis", 0), node.integers(1)
        is_one = node.constant(1).ndim == 0  # of an axis of length 1, as it is no ending
        if is_one and (step := without_ones(node, [axis])) is not None:
            if columns not in ([0], [-1]):
                raise ValueError(f"takes the place {columns[0]} of an axis of length 1")
            return step
        if is_one and (step := _of_one_place(node, axis, columns[0])) is not None:
            return step
        return ImportStep(node.label, (node.value(),), (layers.Columns(columns),), axis=axis)
    node.expect(axis=0)
    weight, codes = node.constant(0), node.step_before(1)
    if weight.ndim != 2:
        raise ValueError(f"has a table of shape {weight.shape}, not of two axes")
    x = node.value(1)
    if codes is not None and codes.is_codes:
        (x,) = codes.inputs
        codes = node.step_of(x)
    is_vector = codes is not None and codes.ones == -1
    are_columns = codes is not None and isinstance(next(iter(codes.layers), None), layers.Columns)
    if not (codes is None or are_columns or (codes.layers == (layers.Rescale(1.0),) and is_vector)):
        raise ValueError("is understood of the network's input as integers only")
    layer, names = layers.Embedding(*weight.shape), (node.inputs[0],)
    step = ImportStep(node.label, (x,), (layer,), {"weight": weight}, names, ones=0)
    return ImportStep(node.label, (node.add(step),), (layers.Flatten(),)) if is_vector else step


def _of_one_place(node: NodeView, axis: int, place: int) -> ImportStep | None:
    """Return the channels of a signal at one place, as the last one; None of anything else."""
    last = node.channels_last(node.value())
    shape = None if last is None else node.shape(last)
    if last is None or shape is None or len(shape) != 2 or axis not in (2, -1):
        return None
    length = shape[0]
    if length is None or not -length <= place < length:
        raise ValueError(f"takes the place {place} of a signal of length {length or 'unknown'}")
    place %= length
    cut = layers.ZeroPad([[-place, place + 1 - length]])
    return ImportStep(
        node.label, (node.add(ImportStep(node.label, (last,), (cut,))),), (layers.Flatten(),)
    )


WRITERS: dict[type[Layer], Callable[..., str]] = {
    layers.Columns: _columns,
    layers.Embedding: _embedding,
}
READERS: dict[str, Callable[[NodeView], ImportStep]] = {"Gather": _read_gather}
