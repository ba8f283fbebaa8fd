"""Layers as plain data and back: what a saved model says of its network.

Only the layers of this package can come back, each by its name and its numbers; nothing in a file
is ever executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from chainrule import layers
from chainrule.initializers import Initializer
from chainrule.layers.layer import Layer
from chainrule.layers.row import flatten

KNOWN: dict[str, type[Layer]] = {name: getattr(layers, name) for name in layers.__all__}
Elements = Sequence[Any]  # of layers, and of networks of them or further sequences


def describe(elements: Elements) -> list[Any]:
    """Return layers, and the networks among them, as dicts and lists of plain values.

    Initializers are left out: the parameters have begun already.

    Raises
    ------
    ValueError
        If there is a layer that is none of this package's.
    """
    description: list[Any] = []
    for element in elements:
        if not isinstance(element, Layer):
            description.append(describe(element.layers))
            continue
        name = type(element).__name__
        if KNOWN.get(name) is not type(element):
            raise ValueError(f"{element!r} cannot be saved: only chainrule's own layers can.")
        values = {field.name: getattr(element, field.name) for field in fields(element)}
        kept = {k: v for k, v in values.items() if not isinstance(v, Initializer) and v is not None}
        description.append({"layer": name, **kept})
    return description


def build(description: Any) -> list[Any]:
    """Return the layers that :func:`describe` described, in lists as they were grouped.

    Raises
    ------
    ValueError
        If it describes no network of this package's layers.
    """
    if not isinstance(description, list):
        raise ValueError(f"a list of layers was expected, not {description!r}")
    elements: list[Any] = []
    for item in description:
        if isinstance(item, list):
            elements.append(build(item))
            continue
        if not isinstance(item, dict) or str(item.get("layer")) not in KNOWN:
            raise ValueError(f"there is no layer {item!r}")
        kind = KNOWN[str(item["layer"])]
        arguments = {name: value for name, value in item.items() if name != "layer"}
        wrong = [v for v in arguments.values() if not isinstance(v, bool | int | float | str)]
        if wrong or not arguments.keys() <= {field.name for field in fields(kind)}:
            raise ValueError(f"{item!r} does not describe a {item['layer']}")
        try:
            elements.append(kind(**arguments))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{item!r} does not describe a {item['layer']}: {error}") from None
    return elements


def parameter_shapes(elements: Elements) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of each parameter of a network of these layers."""
    return {
        f"{path}.{name}": parameter.shape
        for path, layer in flatten(elements)
        for name, parameter in layer.parameters().items()
    }
