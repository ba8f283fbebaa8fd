"""Layers of signals and images: how they are written, and how they are read.

ONNX has channels after the batch, where chainrule has them last: windows stand between two
Transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chainrule import layers
from chainrule.interop.onnx.activations import Writer
from chainrule.interop.onnx.layouts import MOST_COLUMNS, channels_first, channels_last
from chainrule.interop.onnx.normalization import features_first, features_last
from chainrule.interop.onnx.steps import BATCH, UNKNOWN, ImportStep, NodeView, Part
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
                f"there, it has one more window along an axis of {shape[axis]}; without ceil_mode "
                "it has the same"
            )
    return 1


def _read_pool(kinds: Mapping[int, type[Pool]], node: NodeView) -> ImportStep:
    x, size = channels_last(node), node.attribute("kernel_shape", [0])
    axes = len(size)
    if axes not in kinds or any(node.outputs[1:]):
        raise ValueError(f"has {axes} axes and {len(node.outputs)} outputs")
    node.expect(storage_order=0)
    stride, dilation = (node.of_axes(n, [1] * axes) for n in ("strides", "dilations"))
    pads = read_pads(node, x, size, stride, dilation)
    ceil_mode = node.attribute("ceil_mode", 0)
    if ceil_mode not in (0, 1):
        raise ValueError(f"has ceil_mode={ceil_mode}")
    options: dict[str, Any] = {"ceil_mode": bool(ceil_mode)}
    counts = bool(node.attribute("count_include_pad", 0)) if kinds is AVG_POOLS else False
    if pads[:axes] != pads[axes:]:
        if not counts or options["ceil_mode"]:  # zeros around the image are not the same
            raise ValueError(f"has pads={pads}, which are not the same at both ends")
        x, pads = padded_before(node, x, pads), [0] * len(pads)
    if kinds is MAX_POOLS:
        options["dilation"] = one(dilation)
    else:
        options["count_include_pad"] = counts
        if dilation != [1] * axes:
            raise ValueError(f"has dilations={dilation}")
    strides = None if stride == size else one(stride)
    layer = kinds[axes](one(size), strides, one(pads[:axes]), **options)
    return channels_first(ImportStep(node.label, (x,), (layer,)))


def read_pads(
    node: NodeView, x: str, size: list[int], strides: list[int], dilations: list[int]
) -> list[int]:
    """Return how much padding there is before each axis, then behind each.

    Where ``auto_pad`` says so, it is such that there are as many windows as strides.
    """
    axes, automatic = len(size), node.attribute("auto_pad", "NOTSET")
    pads = node.attribute("pads", [0] * 2 * axes)
    if len(pads) != 2 * axes:
        raise ValueError(f"has pads={pads}, where two numbers for each of {axes} axes are expected")
    if automatic in ("NOTSET", "VALID"):
        return pads if automatic == "NOTSET" else [0] * 2 * axes
    if automatic not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"has auto_pad={automatic!r}, which no layer has")
    both = []
    shape = node.shape(x) or (None,) * (axes + 1)
    if min(strides) < 1:
        raise ValueError(f"has strides={strides}")
    for n, k, s, d in zip(shape, size, strides, dilations, strict=False):
        if n is None and s > 1:
            raise ValueError(f"has auto_pad={automatic!r} on an axis whose length is not known")
        rest = 1 if n is None else n - (-(-n // s) - 1) * s  # what the last window begins with
        both.append(max(d * (k - 1) + 1 - rest, 0))
    small, large = [n // 2 for n in both], [n - n // 2 for n in both]
    return small + large if automatic == "SAME_UPPER" else large + small


def padded_before(node: NodeView, x: str, pads: list[int]) -> str:
    """Return a value with zeros at the ends of its axes, or less where a number is negative."""
    return node.add(ImportStep(node.label, (x,), (layers.ZeroPad(_in_pairs(pads)),)))


def _in_pairs(pads: list[int]) -> list[tuple[int, int]]:
    """Return the numbers before and behind each axis, which ONNX has one after the other."""
    half = len(pads) // 2
    return list(zip(pads[:half], pads[half:], strict=True))


def one(numbers: list[int]) -> int | list[int]:
    """Return the number of all axes, if they have the same."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _global_pool(writer: Writer, layer: Layer, x: str) -> str:
    first = writer.add("Transpose", x, perm=features_first(writer.rank))
    (operator,) = (name for name, own in GLOBAL_POOLS.items() if type(own) is type(layer))
    return writer.add("Flatten", writer.add(operator, first), axis=1)


def _read_global_pool(layer: Layer, node: NodeView) -> ImportStep:
    """Return the step of a global pooling, which leaves axes of length 1 in the file."""
    x = channels_last(node)
    shape = node.shape(x)
    return ImportStep(node.label, (x,), (layer,), ones=2 if shape is None else len(shape) - 1)


def _read_reduced(layer: Layer, node: NodeView) -> ImportStep | None:
    """Return the step of the mean, or the maximum, of all places; None if it is another one."""
    before, x = node.step_before(0), node.channels_last(node.value())
    is_image = before is not None and before.part is not None and before.part.kind == "image"
    if before is not None and is_image:
        (x,) = before.inputs
    shape = None if x is None else node.shape(x)
    if x is None or shape is None:
        return None
    rank = len(shape) + 1 + is_image
    axes = node.integers(1) if node.has(1) else node.attribute("axes", [0])
    if sorted(axis % rank for axis in axes) != list(range(2, rank)):
        raise ValueError(f"has axes={axes}, where those of all places are supported")
    node.expect(noop_with_empty_axes=0)
    ones = len(axes) if node.attribute("keepdims", 1) else 0
    return ImportStep(node.label, (x,), (layer,), ones=ones)


def read_reduce_max(node: NodeView) -> ImportStep:
    """Read the maximum of all places of images or signals with channels first."""
    step = _read_reduced(layers.GlobalMaxPool(), node)
    if step is None:
        raise ValueError("is supported of images or signals with their channels first only")
    return step


def read_mean_of_places(node: NodeView) -> ImportStep | None:
    """Read the mean of all places of images or signals with channels first."""
    return _read_reduced(layers.GlobalAvgPool(), node)


def _read_unsqueeze(node: NodeView) -> ImportStep:
    """Read an axis of length 1 more: of the input's only channel, or a signal's height."""
    before, axes, last = node.step_before(0), node.integers(1), node.channels_last(node.value())
    if before is not None and before.ones == -1 and axes == [1]:
        step = ImportStep(node.label, (node.value(),), (layers.Rescale(1.0),), ones=0)
        return step if node.shape(node.value()) == (1,) else channels_first(step)
    shape = None if last is None else node.shape(last)
    if last is None or shape is None or len(shape) != 2 or axes not in ([2], [-2]):
        raise ValueError(
            f"adds the axes {axes}, where axis 1 of the network's input is supported, or an axis "
            "of height 1 before the mean or the maximum of a signal"
        )
    return ImportStep(node.label, (last,), part=Part("image", last))


def without_ones(node: NodeView, axes: Sequence[int] | None = None) -> ImportStep | None:
    """Return the step of a value without (these) axes of length 1 behind a pooling."""
    ones = ones_behind(node)
    if ones < 1:
        return None
    behind = range(2, 2 + ones)
    taken = list(behind) if axes is None else [axis + (2 + ones) * (axis < 0) for axis in axes]
    if len(set(taken)) < len(taken) or not set(taken) <= set(behind):
        raise ValueError(
            f"takes away the axes {taken}, where those behind a pooling are supported: "
            f"{list(behind)}"
        )
    last = node.channels_last(node.value())
    step = ImportStep(node.label, (node.value(),), (layers.Rescale(1.0),))
    if last is not None:
        step = ImportStep(node.label, (last,), (layers.Flatten(),))
    return replace(step, ones=ones - len(taken))


def ones_behind(node: NodeView) -> int:
    """Return how many axes of length 1 a node's value has behind that of its channels.

    It is what a global pooling leaves, or windows as large as the image.
    """
    before, last = node.step_before(0), node.channels_last(node.value())
    *places, _ = (last and node.shape(last)) or (None,)
    if places and set(places) == {1}:
        return len(places)
    return 0 if before is None else before.ones or 0


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
    if len(pads) % 2:
        raise ValueError(f"has pads={pads}, where there are two numbers for each axis")
    if node.has(3) or (node.has(2) and node.number(2) != 0):
        raise ValueError("has axes, or another number than 0")
    return _read_ends(node, _in_pairs(pads))


def _read_ends(node: NodeView, ends: list[tuple[int, int]]) -> ImportStep:
    """Return the step of zeros at the ends of axes; where there are fewer than none, of a cut."""
    x, own, is_first = _of_places(node, ends, (0, 0))
    padding: Any = [list(pair) for pair in own]
    if all(pair == own[0] and pair[0] == pair[1] for pair in own):
        padding = own[0][0]
    step = ImportStep(node.label, (x,), (layers.ZeroPad(padding),))
    return channels_first(step) if is_first else step


def _read_slice(node: NodeView) -> ImportStep:
    """Read the part of each axis between two places: of images a cut, of rows some columns."""
    shape = node.shape(node.value())
    if shape is None or None in shape:
        raise ValueError("is supported of a value whose shape is known only")
    lengths = [BATCH, *(n for n in shape if n is not None)]
    if node.channels_last(node.value()) is not None:
        lengths.insert(1, lengths.pop())
    starts, ends = node.integers(1), node.integers(2)
    axes = node.integers(3) if node.has(3) else list(range(len(starts)))
    if node.has(4) and set(node.integers(4)) != {1}:
        raise ValueError("has steps, where neighbours are supported")
    cut, rank = [(0, 0)] * len(lengths), len(lengths)
    if not len(starts) == len(ends) == len(axes) or any(not -rank <= a < rank for a in axes):
        raise ValueError(f"has starts={starts}, ends={ends} and axes={axes}")
    for start, end, axis in zip(starts, ends, axes, strict=True):
        if axis % rank == 0:
            raise ValueError("takes some rows of the batch")
        n = lengths[axis]
        first, behind, _ = slice(start, end).indices(n)
        cut[axis] = -first, behind - n
    if len(lengths) == 2:
        columns = range(-cut[1][0], lengths[1] + cut[1][1])
        if len(columns) > MOST_COLUMNS:
            raise ValueError(f"takes {len(columns):,} columns")
        return ImportStep(node.label, (node.value(),), (layers.Columns(list(columns)),))
    return _read_ends(node, cut)


def _of_places(node: NodeView, of_axes: list[Any], nothing: Any) -> tuple[str, list[Any], bool]:
    """Return a value with channels last, what its axes between get, and whether they were first."""
    is_first = node.channels_last(node.value()) is not None
    channels = 1 if is_first else -1
    if len(of_axes) not in (3, 4) or of_axes[0] != nothing or of_axes[channels] != nothing:
        raise ValueError(f"changes batch or channels: {of_axes}")
    shape = node.shape(node.value())
    if shape is not None and len(of_axes) != len(shape) + 1:
        raise ValueError(f"has {of_axes} for a value of {len(shape) + 1} axes")
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


# Ways to find the nearest neighbour that give each pixel a whole number of times; the second one is
# ONNX's default.
REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}


def _read_resize(node: NodeView) -> ImportStep:
    node.expect(mode="nearest")
    coordinates = node.attribute("coordinate_transformation_mode", "half_pixel")
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    if (coordinates, rounding) not in REPEATING:
        raise ValueError(
            f"has coordinate_transformation_mode={coordinates!r} and nearest_mode={rounding!r}, "
            "which do not repeat each pixel as often"
        )
    for name, default in OF_OTHER_MODES.items():
        node.attribute(name, default)
    scales = _scales_of_sizes(node) if node.has(3) else node.constant(2).reshape(-1).tolist()
    x, own, is_first = _of_places(node, scales, 1.0)
    if any(scale != int(scale) for scale in own):
        raise ValueError(f"has scales {scales}, where whole numbers are supported")
    step = ImportStep(node.label, (x,), (layers.Upsample(one([int(n) for n in own])),))
    return channels_first(step) if is_first else step


def _scales_of_sizes(node: NodeView) -> list[float]:
    """Return how many times as long as before the axes become."""
    sizes, shape = node.integers(3, are_lengths=True), node.shape(node.value())
    if shape is None or len(sizes) != len(shape) + 1 or node.channels_last(node.value()) is None:
        raise ValueError(f"has sizes={sizes} of a value whose shape is not known")
    *places, channels = shape
    if sizes[0] not in (BATCH, node.batch) or sizes[1] not in (channels, UNKNOWN):
        raise ValueError(f"changes batch or channels: {sizes}")
    known = [n for n in places if n]
    if len(known) < len(places):
        raise ValueError(f"has sizes={sizes} of axes whose lengths are not known")
    return [1.0, 1.0, *(size / n for size, n in zip(sizes[2:], known, strict=True))]


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
    "ReduceMax": read_reduce_max,
    "Resize": _read_resize,
    "Slice": _read_slice,
    "Unsqueeze": _read_unsqueeze,
}
