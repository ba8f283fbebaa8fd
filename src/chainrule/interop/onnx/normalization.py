"""Normalizations: how each is written, and how it is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.steps import ImportStep, NodeView
from chainrule.layers.layer import Layer

PLACES = 7  # of a momentum, which is an attribute in float32


def _batch_norm(writer: Writer, layer: layers.BatchNorm, x: str) -> str:
    """Write the operator, whose features are the axis after the batch; else each of its steps."""
    k = layer.features
    weight, bias = (
        writer.parameter(name) if layer.affine else writer.number(np.full(k, value))
        for name, value in (("weight", 1.0), ("bias", 0.0))
    )
    if writer.rank == 2:
        running = writer.parameter("running_mean"), writer.parameter("running_var")
        part = 0.1 if layer.momentum is None else layer.momentum
        options = {"epsilon": layer.eps, "momentum": round(1 - part, PLACES)}
        return writer.add("BatchNormalization", x, weight, bias, *running, **options)
    scale = 1 / np.sqrt(writer.values("running_var").astype(float) + layer.eps)
    centered = writer.add("Sub", x, writer.parameter("running_mean"))
    normal = writer.add("Mul", centered, writer.number(scale))
    return writer.add("Add", writer.add("Mul", normal, weight), bias)


def _read_batch_norm(node: NodeView) -> ImportStep:
    node.expect(training_mode=0)
    names = "weight", "bias", "running_mean", "running_var"
    for number in range(1, 5):
        node.row(number)
    rows = np.broadcast_arrays(*(node.constant(i).reshape(-1) for i in range(1, 5)))
    eps = float(str(np.float32(node.attribute("epsilon", 1e-5))))
    if not (rows[3] + eps > 0).all():
        raise ValueError("has a variance that is not positive")
    momentum = round(1 - node.attribute("momentum", 0.9), PLACES)
    layer = layers.BatchNorm(len(rows[0]), eps, momentum)
    parameters = dict(zip(names, rows, strict=True))
    shared = (*node.inputs[1:], f"epsilon={eps}", f"momentum={momentum}")
    return ImportStep(node.label, (node.value(),), (layer,), parameters, shared, axis=1)


WRITERS: dict[type[Layer], Callable[..., str]] = {layers.BatchNorm: _batch_norm}
READERS: dict[str, Callable[[NodeView], ImportStep]] = {"BatchNormalization": _read_batch_norm}
