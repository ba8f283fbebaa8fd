"""Layers of signals and images: how they are written, and how they are read.

ONNX has channels after the batch, where chainrule has them last: windows stand between two
Transpose. A step that was read so, with its channels first, holds the one with them last
(``transposed``), from which what follows goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.normalization import features_first, features_last
from chainrule.interop.onnx.steps import Array, ImportStep, NodeView
from chainrule.layers.layer import Layer
from chainrule.layers.windows import for_each_axis
from chainrule.operations.operation import Shape

Pool = layers.MaxPool1d | layers.MaxPool2d | layers.AvgPool1d | layers.AvgPool2d
MAX_POOLS: dict[int, type[Pool]] = {1: layers.MaxPool1d, 2: layers.MaxPool2d}
AVG_POOLS: dict[int, type[Pool]] = {1: layers.AvgPool1d, 2: layers.AvgPool2d}
GLOBAL_POOLS = {
    "GlobalAveragePool": layers.GlobalAvgPool(),
    "GlobalMaxPool": layers.GlobalMaxPool(),
}


def with_channels_first(writer: Writer, x: str, write: Callable[[str], str]) -> str:
    """Write what ``write`` makes of a value with its channels after the batch; they are last."""
    y = write(writer.add("Transpose", x, perm=features_first(writer.rank)))
    return writer.add("Transpose", y, perm=features_last(writer.rank))


def channels_last(node: NodeView) -> str:
    """Return the name of the node's first input, which has its channels first, with them last."""
    last = node.channels_last(node.value())
    if last is None:
        raise ValueError(
            "has channels after the batch: it is understood where the file's input has them there, "
            "or a Transpose puts them there"
        )
    return last


def channels_first(step: ImportStep) -> ImportStep:
    """Return a step whose value has channels last as one of a value that has them first."""
    return ImportStep(step.label, step.inputs, transposed=step)


def as_its_inputs(node: NodeView, step: ImportStep) -> ImportStep:
    """Return an elementwise step as one of values with their channels where its inputs have them.

    A flattened image may only be taken by such steps, and by a linear layer.
    """
    before = [node.step_of(name) for name in step.inputs]
    flattened = {0 if own is None else own.flattened for own in before}
    is_elementwise = step.is_elementwise and step.part is None and bool(step.inputs)
    if not is_elementwise or step.transposed is not None:
        if flattened - {0} and not step.is_product:
            raise ValueError("takes an image that was flattened channel by channel")
        return step
    if flattened - {0}:
        if len(flattened) > 1:
            raise ValueError("takes an image that was flattened channel by channel, and another")
        return replace(step, flattened=flattened.pop())
    last = [node.channels_last(name) for name in step.inputs]
    names = tuple(name for name in last if name is not None)
    return channels_first(replace(step, inputs=names)) if len(names) == len(last) else step


def read_flattened(node: NodeView) -> ImportStep | None:
    """Return the step of a Flatten of images with channels first; None of anything else."""
    last = node.channels_last(node.value())
    if last is None:
        return None
    name, channels = last, None
    while channels is None and (step := node.step_of(name)) is not None:
        for layer in step.layers:
            channels = getattr(layer, "out_channels", getattr(layer, "features", channels))
        name = step.inputs[0]
    channels = node.source_channels.get(name) if channels is None else channels
    if channels is None:
        raise ValueError("flattens images whose number of channels is not known")
    return ImportStep(node.label, (last,), (layers.Flatten(),), flattened=channels)


def with_rows_of_pixels(node: NodeView, weight: Array) -> Array:
    """Return a linear layer's weight with its rows in the order in which its input is flattened."""
    before = node.step_before(0)
    if before is None or not before.flattened or weight.ndim != 2:
        return weight
    if len(weight) % before.flattened:
        raise ValueError(f"takes {len(weight)} columns of images of {before.flattened} channels")
    by_channel = weight.reshape(before.flattened, -1, weight.shape[1])
    return by_channel.swapaxes(0, 1).reshape(weight.shape)


def _pool(writer: Writer, layer: Pool, x: str) -> str:
    stride = layer.kernel_size if layer.stride is None else layer.stride
    given = {"kernel_shape": layer.kernel_size, "strides": stride}
    more: dict[str, Any] = {"ceil_mode": _ceil_mode(layer, writer.shape)}
    if isinstance(layer, layers.MaxPool1d | layers.MaxPool2d):
        operator, given["dilations"] = "MaxPool", layer.dilation
    else:
        operator, more["count_include_pad"] = "AveragePool", int(layer.count_include_pad)
    numbers = {name: list(for_each_axis(value, layer.axes)) for name, value in given.items()}
    pads = list(for_each_axis(layer.padding, layer.axes)) * 2
    return with_channels_first(
        writer, x, lambda first: writer.add(operator, first, pads=pads, **numbers, **more)
    )


def _ceil_mode(layer: Pool, shape: Shape) -> int:
    """Return what makes ONNX count windows as the layer does.

    ONNX also counts a window that begins behind the padding.
    """
    windows = layer.output_shape(shape)
    whole = replace(layer, ceil_mode=False).output_shape(shape)
    if windows == whole:
        return 0
    strides = for_each_axis(layer.stride or layer.kernel_size, layer.axes)
    paddings = for_each_axis(layer.padding, layer.axes)
    sizes = for_each_axis(layer.kernel_size, layer.axes)
    steps = for_each_axis(getattr(layer, "dilation", 1), layer.axes)
    for axis, (size, stride, padding, step) in enumerate(
        zip(sizes, strides, paddings, steps, strict=True)
    ):
        rest = (shape[axis] + 2 * padding - step * (size - 1) - 1) % stride
        if windows[axis] != whole[axis] + (rest > 0):
            raise ValueError(
                f"{layer!r} cannot be written as ONNX, which has one more window along an axis "
                f"of {shape[axis]}: without ceil_mode it can."
            )
    return 1


def _read_pool(kinds: Mapping[int, type[Pool]], node: NodeView) -> ImportStep:
    x, size = channels_last(node), node.attribute("kernel_shape", [0])
    axes = len(size)
    if axes not in kinds or len(node.outputs) > 1:
        raise ValueError(f"has {axes} axes and {len(node.outputs)} outputs")
    node.expect(auto_pad="NOTSET", storage_order=0)
    stride, pads = node.attribute("strides", [1] * axes), node.attribute("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        raise ValueError(f"has pads={pads}, which are not the same at both ends")
    options: dict[str, Any] = {"ceil_mode": bool(node.attribute("ceil_mode", 0))}
    dilation = node.attribute("dilations", [1] * axes)
    if kinds is MAX_POOLS:
        options["dilation"] = one(dilation)
    else:
        options["count_include_pad"] = bool(node.attribute("count_include_pad", 0))
        if dilation != [1] * axes:
            raise ValueError(f"has dilations={dilation}")
    strides = None if stride == size else one(stride)
    layer = kinds[axes](one(size), strides, one(pads[:axes]), **options)
    return channels_first(ImportStep(node.label, (x,), (layer,)))


def one(numbers: list[int]) -> int | list[int]:
    """Return the number of all axes, if they have the same."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _global_pool(writer: Writer, layer: Layer, x: str) -> str:
    first = writer.add("Transpose", x, perm=features_first(writer.rank))
    (operator,) = (name for name, own in GLOBAL_POOLS.items() if type(own) is type(layer))
    return writer.add("Flatten", writer.add(operator, first), axis=1)


def _read_global_pool(layer: Layer, node: NodeView) -> ImportStep:
    return ImportStep(node.label, (channels_last(node),), (layer,))


def read_global_pool_flattened(node: NodeView) -> ImportStep | None:
    """Return the step of a Flatten behind a global pooling; None if it is something else.

    What that pooling gives has axes of length 1 in ONNX, and none in chainrule.
    """
    before = node.step_before(0)
    kinds = layers.GlobalAvgPool, layers.GlobalMaxPool
    if before is None or not before.layers or not isinstance(before.layers[-1], kinds):
        return None
    return replace(before, label=node.label)


def _zero_pad(writer: Writer, layer: layers.ZeroPad, x: str) -> str:
    return _padded(writer, x, layer.ends(writer.shape))


def _random_crop(writer: Writer, layer: layers.RandomCrop, x: str) -> str:
    """Write the part in the middle."""
    ends = []
    for length, size in zip(writer.shape, layer.output_shape(writer.shape)[:-1], strict=False):
        before = -((length - size) // 2)
        ends.append((before, size - length - before))
    return _padded(writer, x, ends)


def _padded(writer: Writer, x: str, ends: Sequence[tuple[int, int]]) -> str:
    """Write zeros at the ends of axes; where there are fewer than none, these are cut."""
    before, behind = zip((0, 0), *ends, (0, 0), strict=True)
    return writer.add("Pad", x, writer.integers([*before, *behind]))


def _read_pad(node: NodeView) -> ImportStep:
    node.expect(mode="constant")
    pads = node.integers(1)
    ends = list(zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True))
    if min(pads) < 0:
        raise ValueError("cuts at the ends, where zeros are supported")
    if node.has(3) or (node.has(2) and node.number(2) != 0):
        raise ValueError("has axes, or another number than 0")
    x, own, is_first = _of_places(node, ends, (0, 0))
    padding: Any = [list(pair) for pair in own]
    if all(pair == own[0] and pair[0] == pair[1] for pair in own):
        padding = own[0][0]
    step = ImportStep(node.label, (x,), (layers.ZeroPad(padding),))
    return channels_first(step) if is_first else step


def _of_places(node: NodeView, of_axes: list[Any], nothing: Any) -> tuple[str, list[Any], bool]:
    """Return a value with channels last, what its axes between get, and whether they were first."""
    is_first = node.channels_last(node.value()) is not None
    channels = 1 if is_first else -1
    if len(of_axes) not in (3, 4) or of_axes[0] != nothing or of_axes[channels] != nothing:
        raise ValueError(f"changes batch or channels: {of_axes}")
    own = of_axes[2:] if is_first else of_axes[1:-1]
    return channels_last(node) if is_first else node.value(), own, is_first


def _upsample(writer: Writer, layer: layers.Upsample, x: str) -> str:
    factors = for_each_axis(layer.scale_factor, writer.rank - 2)
    scales = writer.add("Constant", value_floats=[1.0, *map(float, factors), 1.0])
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return writer.add("Resize", x, "", scales, mode="nearest", **modes)


# What exporters write at Resize, though the nearest neighbour does not depend on it.
OF_OTHER_MODES: dict[str, Any] = {
    **{"antialias": 0, "cubic_coeff_a": -0.75, "exclude_outside": 0, "extrapolation_value": 0.0},
    "keep_aspect_ratio_policy": "stretch",
}


def _read_resize(node: NodeView) -> ImportStep:
    node.expect(mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    for name, default in OF_OTHER_MODES.items():
        node.attribute(name, default)
    if node.has(3):
        raise ValueError("has sizes, where scales are supported")
    scales = [float(scale) for scale in node.constant(2).reshape(-1)]
    x, own, is_first = _of_places(node, scales, 1.0)
    if any(scale != int(scale) for scale in own):
        raise ValueError(f"has scales {scales}, where whole numbers are supported")
    step = ImportStep(node.label, (x,), (layers.Upsample(one([int(n) for n in own])),))
    return channels_first(step) if is_first else step


def _as_it_is(writer: Writer, layer: Layer, x: str) -> str:
    return x


WRITERS: dict[type[Layer], Callable[..., str]] = {
    **dict.fromkeys((*MAX_POOLS.values(), *AVG_POOLS.values()), _pool),
    layers.GlobalAvgPool: _global_pool,
    layers.GlobalMaxPool: _global_pool,
    layers.RandomCrop: _random_crop,
    layers.RandomFlip: _as_it_is,  # as in predict
    layers.RandomShift: _as_it_is,
    layers.Upsample: _upsample,
    layers.ZeroPad: _zero_pad,
}
READERS: dict[str, Callable[[NodeView], ImportStep]] = {
    "MaxPool": partial(_read_pool, MAX_POOLS),
    "AveragePool": partial(_read_pool, AVG_POOLS),
    **{name: partial(_read_global_pool, layer) for name, layer in GLOBAL_POOLS.items()},
    "Pad": _read_pad,
    "Resize": _read_resize,
}
