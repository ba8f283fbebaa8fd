"""Convolutions: how they are written, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.images import one, padded_before, read_pads, with_channels_first
from chainrule.interop.onnx.layouts import channels_first, channels_last
from chainrule.interop.onnx.steps import Array, ImportStep, NodeView
from chainrule.layers.layer import Layer
from chainrule.layers.windows import for_each_axis

Convolution = layers.Conv1d | layers.Conv2d
Transposed = layers.ConvTranspose1d | layers.ConvTranspose2d
Kinds = dict[int, type[Convolution]] | dict[int, type[Transposed]]
CONVOLUTIONS: dict[int, type[Convolution]] = {1: layers.Conv1d, 2: layers.Conv2d}
TRANSPOSED: dict[int, type[Transposed]] = {1: layers.ConvTranspose1d, 2: layers.ConvTranspose2d}


def _write(writer: Writer, layer: Convolution | Transposed, x: str) -> str:
    before, behind = layer.paddings()
    attributes: dict[str, Any] = {"pads": [*before, *behind], "group": layer.groups}
    names = {"kernel_shape": "kernel_size", "strides": "stride", "dilations": "dilation"}
    operator = "Conv"
    if isinstance(layer, layers.ConvTranspose1d | layers.ConvTranspose2d):
        operator, names["output_padding"] = "ConvTranspose", "output_padding"
    for name, argument in names.items():
        attributes[name] = list(layer.along_axes(argument)[0])
    values = [writer.parameter(name, own.torch_axes) for name, own in layer.parameters().items()]
    return with_channels_first(
        writer, x, lambda first: writer.add(operator, first, *values, **attributes)
    )


def _read(kinds: Kinds, node: NodeView) -> ImportStep:
    weight = node.constant(1)
    axes, groups = weight.ndim - 2, node.attribute("group", 1)
    if axes not in kinds:
        raise ValueError(f"has a weight of shape {weight.shape}, not of three axes or four")
    kernel = list(weight.shape[2:])
    node.expect(kernel_shape=kernel)
    channels = weight.shape[1] * groups, weight.shape[0]
    options: dict[str, Any] = {"groups": groups}
    for argument, name in (("stride", "strides"), ("dilation", "dilations")):
        options[argument] = one(node.of_axes(name, [1] * axes))
    if kinds is TRANSPOSED:
        channels = channels[::-1]
        node.expect(output_shape=[])
        options["output_padding"] = one(node.of_axes("output_padding", [0] * axes))
    bias = node.constant(2) if node.has(2) else None
    if bias is not None and bias.shape != channels[1:]:
        raise ValueError(f"has a bias of shape {bias.shape}, not of {channels[1]} numbers")
    before = node.step_before(0)
    if kinds is CONVOLUTIONS and before is not None and (before.ones or 0) > 0:
        return _of_one_place(node, weight, bias, before.ones or 0, groups)
    x = channels_last(node)
    if kinds is TRANSPOSED:
        node.expect(auto_pad="NOTSET")
    strides, dilations = (for_each_axis(options[name], axes) for name in ("stride", "dilation"))
    pads = read_pads(node, x, kernel, list(strides), list(dilations))
    made = partial(kinds[axes], *channels, one(kernel), bias=bias is not None)
    options["padding"] = one(pads[:axes]) if pads[:axes] == pads[axes:] else "same"
    is_same = kinds is CONVOLUTIONS and _is_same(made, options, pads)
    if options["padding"] == "same" and not is_same:
        if min(pads) < 0 or kinds is TRANSPOSED:
            raise ValueError(f"has pads={pads}, which no layer has")
        x, options["padding"] = padded_before(node, x, pads), 0
    layer = made(**options)
    parameters: dict[str, Array] = {"weight": weight.transpose(*range(2, 2 + axes), 1, 0)}
    if bias is not None:
        parameters["bias"] = bias
    names = *node.inputs[1:], repr(layer)
    return channels_first(ImportStep(node.label, (x,), (layer,), parameters, names))


def _of_one_place(
    node: NodeView, weight: Array, bias: Array | None, ones: int, groups: int
) -> ImportStep:
    """Read a convolution behind a global pooling, whose windows have one place: a linear layer."""
    if weight.ndim != 2 + ones or set(weight.shape[2:]) != {1} or groups != 1:
        raise ValueError("takes windows or groups of what a global pooling has left")
    node.expect(auto_pad="NOTSET", pads=[0, 0] * ones)
    rows, columns = weight.shape[1], weight.shape[0]
    parameters = {"weight": weight.reshape(columns, rows).T}
    if bias is not None:
        parameters["bias"] = bias
    layer = layers.Linear(rows, columns, bias=bias is not None)
    return ImportStep(
        node.label, (node.value(),), (layer,), parameters, (*node.inputs[1:],), ones=ones
    )


def _is_same(
    made: Callable[..., Convolution | Transposed], options: dict[str, Any], pads: list[int]
) -> bool:
    """Tell whether a convolution with these pads is one whose output is as long as its input."""
    if options["stride"] != 1:
        return False
    before, behind = made(**options).paddings()
    return [*before, *behind] == pads


WRITERS: dict[type[Layer], Callable[..., str]] = dict.fromkeys(
    (*CONVOLUTIONS.values(), *TRANSPOSED.values()), _write
)
READERS: dict[str, Callable[[NodeView], ImportStep]] = {
    "Conv": partial(_read, CONVOLUTIONS),
    "ConvTranspose": partial(_read, TRANSPOSED),
}
