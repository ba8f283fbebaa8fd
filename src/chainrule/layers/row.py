"""Layers in a row: their paths and names, and the shapes that they hand on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chainrule.layers.layer import Layer
from chainrule.plan.builder import Shape

Row = list[tuple[str, Layer]]


def flatten(elements: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its path, such as ``"0.2"``.

    An element that is no layer has layers, or is a sequence of elements.
    """
    for position, element in enumerate(elements):
        path = f"{prefix}{position}"
        if isinstance(element, Layer):
            yield path, element
        else:
            yield from flatten(getattr(element, "layers", element), f"{path}.")


def check_names(row: Row) -> None:
    """Raise an error unless each name is a text, and no two are the same."""
    paths: dict[str, str] = {}
    for path, layer in row:
        name = layer.name
        if name is None:
            continue
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of layer {path} must be a text, not {name!r}.")
        if name in paths:
            raise ValueError(f"Layers {paths[name]} and {path} are both named {name!r}.")
        paths[name] = path


def kind_of(layer: Layer) -> str:
    """Return a layer's class, and its name if it has one: ``Linear 'H'``."""
    return type(layer).__name__ + (f" {layer.name!r}" if layer.name else "")


def output_shapes(row: Row, shape: Shape | None, source: str = "") -> list[Shape | None]:
    """Return every layer's output shape, as far as they follow from the input's ``shape``.

    Without one, the first linear layer tells; but its input may have more axes than it asks for,
    so what a Flatten makes of them stays open. ``source`` is what gives the input, for messages.
    """
    shapes: list[Shape | None] = []
    assumed = shape is None
    giver = f"{source} has"
    for path, layer in row:
        shape = layer.expected_shape if shape is None else shape
        if shape is not None:
            try:
                result = layer.output_shape(shape)
            except ValueError as error:
                raise ValueError(
                    f"{layer!r} (layer {path}) {error}, but {giver} shape {shape_text(shape)}."
                ) from None
            shape = None if assumed and not layer.by_last_axis else result
        shapes.append(shape)
        giver = f"{layer!r} (layer {path}) gives"
    return shapes


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Return a shape as messages show it, the batch in front."""
    if shape is None:
        return "depends on the input"
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"
