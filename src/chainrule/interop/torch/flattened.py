"""Where a network flattens images.

PyTorch does it channel by channel, the network pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.layers import (
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    Layer,
    Linear,
)
from chainrule.layers.graph import Graph, Node, layer_text
from chainrule.layers.shapes import last_lengths, output_shapes
from chainrule.models.sequential import Sequential
from chainrule.operations.operation import Shape

Shapes = Mapping[int, Shape | None]


def shapes_of_values(net: Sequential, input_shape: Any) -> Shapes:
    """Return the shapes of all values for rows of a shape; nothing without one."""
    if input_shape is None:
        return {}
    if not isinstance(input_shape, tuple | list):
        raise TypeError(f"input_shape must be a tuple such as (28, 28, 1), not {input_shape!r}.")
    shape = tuple(input_shape)
    found = output_shapes(net.graph, shape, "input_shape")
    return net.graph.at_inputs(net.graph.input_shapes(shape)) | dict(enumerate(found))


def flattened_channels(graph: Graph, node: Node, shapes: Shapes) -> int:
    """Return the channels of the images that are flattened before a layer; 0 without any.

    Raises
    ------
    ValueError
        If what comes between depends on the order of columns, so that it is not known where PyTorch
        has its values; or if it is not known how many channels there are.
    """
    place = node.inputs[0]
    while place >= 0 and graph.nodes[place].layer.in_any_order:
        place = graph.nodes[place].inputs[0]
    if not _is_flattened(graph, place, shapes):
        return 0
    before, called = graph.nodes[place], f"{layer_text(node.layer)} (layer {node.path})"
    if not isinstance(before.layer, Flatten):
        raise ValueError(
            f"{called} is behind images that are flattened, which PyTorch does channel by channel, "
            f"and {layer_text(before.layer)} (layer {before.path}): the order of its weight in "
            "PyTorch is not known."
        )
    if isinstance(node.layer, GroupNorm):
        raise ValueError(
            f"{called} is behind images that are flattened, which PyTorch does channel by channel: "
            "it has other columns in a group."
        )
    images = _images_before(graph, before)
    known = shapes.get(images)
    channels = known[-1] if known else last_lengths(graph)[images]
    if not channels:
        raise ValueError(
            f"{called} is behind images that are flattened, which PyTorch does channel by channel, "
            "and no layer tells how many channels they have: give the shape of a row of the "
            "network's input, channels last, such as input_shape=(28, 28, 1)."
        )
    return channels


def _images_before(graph: Graph, flatten: Node) -> int:
    """Return the value that a Flatten gets; of several in a row, the first one."""
    found = place = flatten.inputs[0]
    while place >= 0:
        node = graph.nodes[place]
        if not (node.layer.in_any_order or isinstance(node.layer, Flatten)):
            break
        place = node.inputs[0]
        found = place if isinstance(node.layer, Flatten) else found
    return found


def has_columns(layer: Layer) -> bool:
    """Tell whether a layer has numbers for columns."""
    has_numbers = bool(layer.parameters() or layer.buffers())
    return isinstance(layer, Linear | GroupNorm) or (layer.in_any_order and has_numbers)


def _is_flattened(graph: Graph, place: int, shapes: Shapes) -> bool:
    """Tell whether a value has the elements of images that a Flatten before it got."""
    if place < 0 or isinstance(graph.nodes[place].layer, Linear):
        return False
    node = graph.nodes[place]
    if isinstance(node.layer, Flatten):
        return _is_of_images(graph, node.inputs[0], shapes)
    return any(_is_flattened(graph, before, shapes) for before in node.inputs)


def _is_of_images(graph: Graph, place: int, shapes: Shapes, of_input: bool = True) -> bool:
    """Tell whether a value is one of images or signals, with channels after the batch in PyTorch.

    It is, where windows slide along them, or channels are normalized; and without these, if the
    network's input has the shape (height, width, channels).
    """
    if place < 0:
        return of_input and len(shapes.get(place) or ()) > 2
    node = graph.nodes[place]
    if isinstance(node.layer, GlobalAvgPool | GlobalMaxPool):
        return False
    if node.layer.axes > 0 or node.layer.torch_axis == 1:
        return True
    of_input = of_input and node.layer.torch_axis != -1
    return any(_is_of_images(graph, before, shapes, of_input) for before in node.inputs)
