"""Where values have their channels, and in which order images were flattened.

ONNX has channels after the batch, where chainrule has them last. A step that was read so, with its
channels first, holds the one with them last (``transposed``), from which what follows goes on. Such
images are flattened channel by channel in the file, and pixel by pixel in the network: what takes
the columns gets its parameters in the network's order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from chainrule import layers
from chainrule.interop.onnx.columns import ByColumn
from chainrule.interop.onnx.steps import Array, ImportStep, Layout, NodeView
from chainrule.layers.activation import Rowwise

MOST_COLUMNS = 1 << 20  # that are put into another order


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
    """Return a step as one of values with their channels, and columns, where its inputs have them.

    Raises
    ------
    ValueError
        If it does not work along the channels, or takes values of which only some have them first.
    """
    if step.transposed is not None:
        return step
    last = [node.channels_last(name) for name in step.inputs]
    names = tuple(name for name in last if name is not None)
    before = [node.step_of(name) for name in step.inputs]
    ones = {(own and own.ones) or 0 for own in before}
    if names:
        if len(names) < len(last):
            raise ValueError(
                "takes images or signals beside values of other shapes, which no layer broadcasts"
            )
        return channels_first(replace(_along_channels(node, step), inputs=names))
    if ones - {0} and step.part is None and step.ones is None:
        if len(ones) > 1:
            raise ValueError("takes values of different numbers of axes, one of them pooled")
        return replace(_along_channels(node, step), ones=ones.pop())
    layouts = [() if own is None else own.flattened for own in before]
    return _of_flattened(node, step, layouts) if any(layouts) else step


def _along_channels(node: NodeView, step: ImportStep) -> ImportStep:
    """Return a step along the axis after the batch as one along the last; ValueError if not so."""
    axis, shape = step.axis, node.shape(step.inputs[0])
    if step.part is None and (step.is_elementwise or _is_of(step, (ByColumn, layers.PReLU))):
        return step
    own = node.step_of(step.inputs[0])
    ones = (own and own.ones) or 0
    is_along_one = step.merge == "concatenate" or step.half is not None
    if ones < 0 or not (is_along_one or _is_of(step, ALONG_ONE)):
        what = "images or signals with their channels first"
        if ones < 0:
            what = "an input to which the file adds an axis for its channel later"
        raise ValueError(f"is not supported of {what}")
    behind = 0 if shape is None else ones or len(shape) - 1
    if axis != 1 and (not behind or axis != -1 - behind):
        raise ValueError(
            f"has axis={axis} of images or signals with their channels first, where axis=1 is "
            "supported"
        )
    return replace(step, axis=-1)


ALONG_ONE = layers.BatchNorm, Rowwise


def _is_of(step: ImportStep, kinds: tuple[type, ...]) -> bool:
    return bool(step.layers) and all(isinstance(layer, kinds) for layer in step.layers)


# Flattened images


def flattened(node: NodeView) -> ImportStep | None:
    """Return the step of a Flatten of images with channels first; None of anything else."""
    last = node.channels_last(node.value())
    return None if last is None else flattened_images(node, last)


def flattened_images(node: NodeView, last: str) -> ImportStep:
    """Return the step that flattens images, which have their channels last here."""
    *places, channels = node.shape(last) or (None,)
    if channels is None:
        raise ValueError("flattens images whose number of channels is not known")
    pixels = None if None in places else prod(n for n in places if n is not None)
    layout = () if channels == 1 or pixels == 1 else ((channels, pixels),)
    return ImportStep(node.label, (last,), (layers.Flatten(),), flattened=layout)


def in_network_order(layout: Layout, width: int) -> NDArray[np.int64]:
    """Return for each column of the network its place in the file."""
    return _order(layout, width, lambda places, c, p: places.reshape(c, p))


def in_order(layout: Layout, numbers: Array) -> Array:
    """Return numbers for columns in the network's order; one number is for all of them."""
    if not layout or numbers.size == 1:
        return numbers
    return numbers[in_network_order(layout, len(numbers))]


def _order(layout: Layout, width: int, by: Callable[[Array, int, int], Array]) -> NDArray[np.int64]:
    blocks = [(c, width // c if p is None else p) for c, p in layout]
    if sum(c * p for c, p in blocks) != width:
        raise ValueError(f"takes {width} columns, where flattened images have another number")
    parts, begin = [], 0
    for c, p in blocks:
        parts.append(by(np.arange(begin, begin + c * p), c, p).T.reshape(-1))
        begin += c * p
    return np.concatenate(parts)


def weight_in_order(node: NodeView, weight: Array) -> Array:
    """Return a linear layer's weight with its rows in the order in which its input is flattened."""
    before = node.step_before(0)
    if before is None or not before.flattened or weight.ndim != 2:
        return weight
    return weight[in_network_order(before.flattened, len(weight))]


def in_file_order(node: NodeView, value: str) -> str:
    """Return a value with its columns in the file's order, if they are in another."""
    before = node.step_of(value)
    if before is None or not before.flattened:
        return value
    if any(pixels is None for _, pixels in before.flattened):
        raise ValueError("takes flattened images whose size is not known")
    width = sum(c * p for c, p in before.flattened if p is not None)
    if width > MOST_COLUMNS:
        raise ValueError(f"takes {width:,} columns of images that were flattened by channel")
    order = _order(before.flattened, width, lambda places, c, p: places.reshape(p, c))
    columns = layers.Columns([int(i) for i in order])
    return node.add(ImportStep(node.label, (value,), (columns,)))


def _of_flattened(node: NodeView, step: ImportStep, layouts: list[Layout]) -> ImportStep:
    """Return a step of flattened images; its parameters are brought into order with its layer."""
    if step.is_product or step.part is not None:  # which readers have put in order
        return step
    if step.merge == "concatenate":
        return replace(step, flattened=_side_by_side(node, step, layouts))
    is_of_columns = step.is_elementwise or (
        bool(step.layers)
        and all(isinstance(own, ByColumn) or own.in_any_order for own in step.layers)
    )
    if len(set(layouts)) > 1 or not is_of_columns:
        return replace(step, inputs=tuple(in_file_order(node, name) for name in step.inputs))
    (layout,) = set(layouts)
    return replace(
        step,
        flattened=layout,
        names=(*step.names, repr(layout)) if step.names else (),
        layers=tuple(
            ByColumn(*(in_order(layout, numbers) for numbers in (own.scale, own.offset)))
            if isinstance(own, ByColumn)
            else own
            for own in step.layers
        ),
    )


def _side_by_side(node: NodeView, step: ImportStep, layouts: list[Layout]) -> Layout:
    blocks: list[tuple[int, int | None]] = []
    for name, layout in zip(step.inputs, layouts, strict=True):
        shape = node.shape(name)
        width = shape[-1] if shape else None
        own = layout or ((1, width),)
        if any(pixels is None for _, pixels in own):
            raise ValueError("takes flattened images beside other columns, of unknown size")
        blocks += own
    return tuple(blocks)
