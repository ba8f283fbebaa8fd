"""Normalizations: how each is written, and how it is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.steps import ImportStep, NodeView
from chainrule.layers.layer import Layer
from chainrule.layers.normalization import Normalization

PLACES = 7  # of a momentum, which is an attribute in float32


def _batch_norm(writer: Writer, layer: layers.BatchNorm, x: str) -> str:
    """Write the operator, whose features are the axis after the batch."""
    if not layer.track:
        raise ValueError(
            "it has no running statistics, and there is no operator that takes those of the batch"
        )
    weight, bias = (
        parameter_or(writer, layer, "weight", 1.0),
        parameter_or(writer, layer, "bias", 0.0),
    )
    running = writer.parameter("running_mean"), writer.parameter("running_var")
    part = 0.1 if layer.momentum is None else layer.momentum
    options = {"epsilon": layer.eps, "momentum": round(1 - part, PLACES)}
    return _normalized(writer, x, weight, bias, *running, **options)


def _normalized(writer: Writer, x: str, *rows: str, **options: float) -> str:
    """Write BatchNormalization, between two Transpose where there are more axes."""
    if writer.rank > 2:
        x = writer.add("Transpose", x, perm=features_first(writer.rank))
    y = writer.add("BatchNormalization", x, *rows, **options)
    return y if writer.rank == 2 else writer.add("Transpose", y, perm=features_last(writer.rank))


def _standardize(writer: Writer, layer: layers.Standardize, x: str) -> str:
    """Write a normalization that adds nothing to the variance, as no :class:`BatchNorm` does."""
    one, zero = (writer.number(np.full(layer.features or 0, value)) for value in (1.0, 0.0))
    known = writer.parameter("mean"), writer.parameter("variance")
    return _normalized(writer, x, one, zero, *known, epsilon=0.0)


def parameter_or(writer: Writer, layer: Normalization, name: str, value: float) -> str:
    """Return the name of a parameter, or of a row of its value where there is none."""
    if name in layer.parameters():
        return writer.parameter(name)
    return writer.number(np.full(layer.features, value))


def features_first(rank: int) -> list[int]:
    """Return the order of axes in which the last one comes after the batch."""
    return [0, rank - 1, *range(1, rank - 1)]


def features_last(rank: int) -> list[int]:
    """Return the order of axes in which the one after the batch comes last."""
    return [0, *range(2, rank), 1]


def _read_transpose(node: NodeView) -> ImportStep:
    """Read it before and behind a normalization whose features are the axis after the batch."""
    before, axes = node.step_before(0), node.attribute("perm", [0])
    shape = node.shape(node.value())
    if shape is not None and len(axes) != len(shape) + 1:
        raise ValueError(f"has perm={axes} for a value of {len(shape) + 1} axes")
    if before is not None and before.transposed is not None and axes == features_last(len(axes)):
        return before.transposed
    if axes != features_first(len(axes)):
        raise ValueError(f"has perm={axes}, which is understood around BatchNormalization only")
    x = (node.value(),)
    return ImportStep(node.label, x, transposed=ImportStep(node.label, x, (layers.Identity(),)))


def _read_batch_norm(node: NodeView) -> ImportStep:
    node.expect(training_mode=0)
    names = "weight", "bias", "running_mean", "running_var"
    for number in range(1, 5):
        node.row(number)
    rows = np.broadcast_arrays(*(node.constant(i).reshape(-1) for i in range(1, 5)))
    eps = shortest(node.attribute("epsilon", 1e-5))
    if not (rows[3] + eps > 0).all():
        raise ValueError("has a variance that is not positive")
    momentum = round(1 - node.attribute("momentum", 0.9), PLACES)
    parameters = dict(zip(names, rows, strict=True))
    layer: Layer
    if eps == 0 and (rows[0] == 1).all() and (rows[1] == 0).all():
        layer = layers.Standardize(mean=rows[2].tolist(), variance=rows[3].tolist())
        parameters = {"mean": rows[2], "variance": rows[3]}
    else:
        layer = layers.BatchNorm(len(rows[0]), eps, momentum)
    shared = (*node.inputs[1:], f"epsilon={eps}", f"momentum={momentum}")
    last = node.channels_last(node.value())
    if last is None:
        return ImportStep(node.label, (node.value(),), (layer,), parameters, shared, axis=1)
    step = ImportStep(node.label, (last,), (layer,), parameters, shared)
    return ImportStep(node.label, (last,), transposed=step)


def _layer_norm(writer: Writer, layer: layers.LayerNorm, x: str) -> str:
    parameters = [parameter_or(writer, layer, "weight", 1.0)]
    if "bias" in layer.parameters():
        parameters.append(writer.parameter("bias"))
    return writer.add("LayerNormalization", x, *parameters, axis=-1, epsilon=layer.eps)


def _read_layer_norm(node: NodeView) -> ImportStep:
    node.expect(stash_type=1)
    if len(node.outputs) > 1:
        raise ValueError("gives the mean and the scale, too")
    axis, eps = node.attribute("axis", -1), shortest(node.attribute("epsilon", 1e-5))
    parameters = {}
    for number, name in ((1, "weight"), (2, "bias")):
        if number == 1 or node.has(number):
            node.row(number)
            parameters[name] = node.constant(number).reshape(-1)
    layer = layers.LayerNorm(parameters["weight"].size, eps, bias="bias" in parameters)
    names = *node.inputs[1:], f"epsilon={eps}"
    return ImportStep(node.label, (node.value(),), (layer,), parameters, names, axis=axis)


def shortest(value: float) -> float:
    """Return the number that was meant by an attribute, which has the precision of float32."""
    return float(str(np.float32(value)))


WRITERS: dict[type[Layer], Callable[..., str]] = {
    layers.BatchNorm: _batch_norm,
    layers.LayerNorm: _layer_norm,
    layers.Standardize: _standardize,
}
READERS: dict[str, Callable[[NodeView], ImportStep]] = {
    "BatchNormalization": _read_batch_norm,
    "LayerNormalization": _read_layer_norm,
    "Transpose": _read_transpose,
}
