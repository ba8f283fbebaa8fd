"""The shapes of a network's values: found, checked, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import Any

from chainrule.layers.graph import Graph, layer_text
from chainrule.layers.layer import DoesNotFit, Layer
from chainrule.layers.linear import Linear
from chainrule.operations.operation import Shape
from chainrule.utils.inputs import input_names
from chainrule.utils.wording import in_code, plural

# The largest number of outputs of a layer for one row, a gigabyte of float32. Without a limit, a
# few layers that concatenate their input with itself could need any amount of memory.
MOST_NUMBERS = 1 << 28


def output_shapes(
    graph: Graph, shape: Shape | None, source: str = "", codes: Sequence[str] = ()
) -> list[Shape | None]:
    """Return every layer's output shape, None where it is not known from the input's ``shape``.

    Without ``shape``, the first linear layer's expected shape is used; but its input may have more
    axes, so that the output of a Flatten is not known. Of signals and images, the channels alone
    are checked then, and the shape is None. ``source`` names the input in messages, and ``codes``
    has an expression for each.
    """
    of_inputs = (None,) * graph.inputs if shape is None else graph.input_shapes(shape)
    sources = input_names(source, graph.inputs)
    for own, called in zip(of_inputs, sources, strict=True):
        if own is not None and 0 in own:
            raise ValueError(
                f"{called} must have no empty axis, but its shape is {shape_text(own)}."
            )
    shapes: dict[int, Shape | None] = graph.at_inputs(of_inputs)
    # The inputs that each value is made of: their names and shapes.
    origins = graph.at_inputs([{own: shape} for own, shape in zip(sources, of_inputs, strict=True)])
    givers = graph.at_inputs([f"{called} has" for called in sources])
    assumed = shape is None
    with_places: set[int] = set()  # values of which the channels alone are known
    like_inputs = set(shapes)  # values with an input's shape, of layers that take any
    for position, node in enumerate(graph.nodes):
        layer, first = node.layer, node.inputs[0]
        called = f"{layer_text(layer)} (layer {node.path})"
        if shapes[first] is None and layer.expected_shape is not None:
            shapes[first] = layer.expected_shape
            givers[first] = f"{called} takes the same in"
        given = [known for i in node.inputs if (known := shapes[i]) is not None]
        shapes[position], givers[position] = None, f"{called} gives"
        origins[position] = {name: own for i in node.inputs for name, own in origins[i].items()}
        count = len(with_places.intersection(node.inputs))
        if assumed and not layer.merges_axes and (layer.axes or (count and layer.by_last_axis)):
            with_places.add(position)
        try:
            if assumed and layer.axes:
                channels = layer.output_channels(given[0][-1] if given else None)
                shapes[position] = None if channels is None else (channels,)
                continue
            if len(given) < len(node.inputs) or 0 < count < len(given):
                continue
            result = layer.output_shape(*given)
        except ValueError as error:
            texts = [
                shape_text(s, i in with_places) for s, i in zip(given, node.inputs, strict=True)
            ]
            but, hint = _what_came(layer, givers[first], given, texts, with_places=count > 0)
            written = dict(zip(sources, codes or map(in_code, sources), strict=True))
            about = _about_inputs(
                error, given, origins[position], written, names_it=first in like_inputs
            )
            raise ValueError(f"{called} {error}, but {but}{about}{hint}.") from None
        result = check_shape(result, f"{called}: its output_shape")
        if 0 in result:
            raise ValueError(
                f"{called} must give no empty axis, but it gives shape {shape_text(result)}."
            )
        if prod(result) > MOST_NUMBERS:
            raise ValueError(
                f"{called} gives {prod(result):,} numbers for each row, but {MOST_NUMBERS:,} are "
                "the most that a layer may give."
            )
        if not assumed or layer.by_last_axis:
            shapes[position] = result
        takes_any = layer.expected_shape is None and not layer.axes
        if takes_any and [result] == given and first in like_inputs:
            like_inputs.add(position)
            givers[position] = givers[first]
    return [None if i in with_places else shapes[i] for i in range(len(graph.nodes))]


def _what_came(
    layer: Layer, giver: str, given: list[Shape], texts: list[str], *, with_places: bool
) -> tuple[str, str]:
    """Return what a layer was given, for the message that it does not fit, and a hint."""
    if len(texts) > 1:
        differ = len(set(map(len, given))) > 1
        hint = "; Flatten() leaves one axis of each" if differ else ""
        return f"it merges shapes {', '.join(texts[:-1])} and {texts[-1]}", hint
    but = f"{giver} shape {texts[0]}"
    if not isinstance(layer, Linear):
        return but, ""
    if with_places:
        return but, "; Flatten() makes features of all axes"
    if len(given[0]) > 1:
        but += f", of which Flatten() makes {prod(given[0])} features"
    return but, ""


def _about_inputs(
    error: ValueError,
    given: list[Shape],
    inputs: dict[str, Shape | None],
    written: dict[str, str],
    *,
    names_it: bool,
) -> str:
    """Return how to change the input that a layer was given as it is, or the shapes of all.

    ``written`` has an expression for each; ``names_it`` is whether the message has the input's
    shape already.
    """
    remedy = error.remedy if isinstance(error, DoesNotFit) else ""
    if remedy and given == list(inputs.values()):
        (name,) = inputs
        return f": {remedy.format(x=written[name])}"
    if None in inputs.values() or (names_it and len(given) == 1):
        return ""
    known = (f"{name} has shape {shape_text(shape)}" for name, shape in inputs.items())
    return f", as {' and '.join(known)}"


def check_shape(shape: Any, owner: str) -> Shape:
    """Return a shape without the batch, as a tuple of ints of 0 or more."""
    try:
        result = tuple(-1 if isinstance(n, bool) else index(n) for n in shape)
    except TypeError:
        result = (-1,)
    if min(result, default=0) < 0:
        raise ValueError(
            f"{owner} must be a shape without the batch, such as (8,) for {shape_text((8,))}, "
            f"not {shape!r}."
        )
    return result


def check_batch(
    graph: Graph, rows: int, input_shape: Shape, *, training: bool, name: str, hint: str = ""
) -> None:
    """Raise ValueError if a batch must not have so many rows of this shape.

    It is one of training steps, or of predictions. ``name`` is what messages call it; ``hint`` is
    their last sentence.
    """
    shapes: dict[int, Shape | None] = {
        **graph.at_inputs(graph.input_shapes(input_shape)),
        **dict(enumerate(output_shapes(graph, input_shape))),
    }
    for node in graph.nodes:
        if not training and node.layer.rows_are_independent:
            continue
        shape = shapes[node.inputs[0]]
        assert shape is not None  # as the input's is known
        try:
            node.layer.check_training_batch(rows, shape)
        except DoesNotFit as error:
            raise ValueError(
                f"{layer_text(node.layer)} (layer {node.path}) {error}, but {name} has "
                f"{plural(rows, 'row')} of shape {shape_text(shape)}: {error.remedy}.{hint}"
            ) from None


def shape_text(shape: tuple[int, ...] | None, with_places: bool = False) -> str:
    """Return a shape as text for messages, with the batch first; maybe of channels alone."""
    if shape is None:
        return "depends on the input"
    if with_places:
        return f"(n, ..., {shape[-1]})"
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"
