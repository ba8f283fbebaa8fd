"""Convolutions: how they are written, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.images import channels_first, channels_last, one, with_channels_first
from chainrule.interop.onnx.steps import Array, ImportStep, NodeView
from chainrule.layers.layer import Layer

Convolution = layers.Conv1d | layers.Conv2d
Transposed = layers.ConvTranspose1d | layers.ConvTranspose2d
Kinds = dict[int, type[Convolution]] | dict[int, type[Transposed]]
CONVOLUTIONS: dict[int, type[Convolution]] = {1: layers.Conv1d, 2: layers.Conv2d}
TRANSPOSED: dict[int, type[Transposed]] = {1: layers.ConvTranspose1d, 2: layers.ConvTranspose2d}

AUTOMATIC = {"SAME_UPPER": "same", "VALID": 0}  # paddings by ONNX's names


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
        options[argument] = one(node.attribute(name, [1] * axes))
    if kinds is TRANSPOSED:
        channels = channels[::-1]
        node.expect(output_shape=[])
        options["output_padding"] = one(node.attribute("output_padding", [0] * axes))
    bias = node.constant(2) if node.has(2) else None
    if bias is not None and bias.shape != channels[1:]:
        raise ValueError(f"has a bias of shape {bias.shape}, not of {channels[1]} numbers")
    pads = node.attribute("pads", [0, 0] * axes)
    options["padding"] = one(pads[:axes]) if pads[:axes] == pads[axes:] else "same"
    automatic = node.attribute("auto_pad", "NOTSET")
    if automatic != "NOTSET":
        options["padding"] = AUTOMATIC.get(automatic)
    if options["padding"] is None or (kinds is TRANSPOSED and isinstance(options["padding"], str)):
        raise ValueError(f"has auto_pad={automatic!r} and pads={pads}, which no layer has")
    x = channels_last(node)
    made = partial(kinds[axes], *channels, one(kernel), bias=bias is not None)
    if automatic == "NOTSET" and options["padding"] == "same" and not _is_same(made, options, pads):
        if min(pads) < 0:
            raise ValueError(f"has pads={pads}, which cut at the ends")
        padding = layers.ZeroPad(list(zip(pads[:axes], pads[axes:], strict=True)))
        x = node.add(ImportStep(node.label, (x,), (padding,)))
        options["padding"] = 0
    layer = made(**options)
    parameters: dict[str, Array] = {"weight": weight.transpose(*range(2, 2 + axes), 1, 0)}
    if bias is not None:
        parameters["bias"] = bias
    names = *node.inputs[1:], repr(layer)
    return channels_first(ImportStep(node.label, (x,), (layer,), parameters, names))


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
