"""Layers as plain data and back: the description of a network in a saved model.

Only the layers of this package can be restored, each from its class name and hyperparameters;
nothing in a file is ever executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from math import prod
from typing import Any

from chainrule import layers
from chainrule.layers.container import Container, Shared
from chainrule.layers.graph import graph_of
from chainrule.layers.initializers import Initializer
from chainrule.layers.layer import Element, Group, Layer

KNOWN: dict[str, type[Layer]] = {name: getattr(layers, name) for name in layers.__all__}
# Limits for malicious files: a few lines can place a shared layer a million times, and deep nesting
# exhausts the interpreter's stack.
MOST_LAYERS, DEEPEST = 100_000, 100
# A nested network has its own copy of the parameters, also of a shared layer.
MOST_COPIES, FEW_NUMBERS = 100, 1 << 22

MakeGroup = Callable[[list[Element]], Element]


class Bundle(Group):
    """A sequence of layers without parameters."""

    def __init__(self, elements: list[Element]) -> None:
        self.layers = tuple(elements)


def describe(elements: Iterable[Element]) -> list[Any]:
    """Return layers, and the networks among them, as dicts and lists of plain values.

    Initializers are left out, since the parameters are saved.

    Raises
    ------
    ValueError
        If a layer is not one of this package's, or there are too many.
    """
    shared: dict[Element, int] = {}
    description = [_describe(element, shared) for element in elements]
    build(description)  # raises if it could not be loaded again
    return description


def _describe(element: Element, shared: dict[Element, int]) -> Any:
    if isinstance(element, Group):
        return [_describe(layer, shared) for layer in element.layers]
    name = type(element).__name__
    if KNOWN.get(name) is not type(element):
        raise ValueError(
            f"{element!r} cannot be saved: only chainrule's own layers can, as loading a file runs "
            "no code. Save net.values, and build the network again."
        )
    values = {
        field.name: (getattr(element, field.name), field.default) for field in fields(element)
    }
    kept = {
        name: list(value) if isinstance(value, tuple) else value  # as JSON has it
        for name, (value, default) in values.items()
        if not isinstance(value, Initializer) and not (value is default is None)
    }
    description: dict[str, Any] = {"layer": name, **kept}
    if isinstance(element, Container):
        if element in shared:
            return {"layer": name, "number": shared[element]}
        description["parts"] = [_describe(part, shared) for part in element.parts]
        if isinstance(element, Shared):
            description["number"] = shared[element] = len(shared)
    return description


def build(description: Any, group: MakeGroup = Bundle) -> list[Element]:
    """Return the layers of a description; ``group`` makes an element of each nested list.

    Raises
    ------
    ValueError
        If it does not describe a network of this package's layers.
    """
    builder = _Builder(group)
    elements = builder.elements(description)
    if builder.copied > max(MOST_COPIES * _numbers(elements), FEW_NUMBERS):
        raise ValueError(
            f"nested networks have {builder.copied:,} parameters of their own, more than "
            f"{MOST_COPIES} times those of the whole network"
        )
    return elements


def _numbers(elements: list[Element]) -> int:
    """Return how many parameters and buffers a network of these elements has, in numbers."""
    return sum(map(prod, graph_of(elements).shapes().values()))


class _Builder:
    """Builds elements from a description, with the shared ones by number and size."""

    def __init__(self, group: MakeGroup) -> None:
        self._group = group
        self._shared: list[tuple[Layer, int]] = []
        self.copied = 0  # parameters of nested networks
        self._layers = self._depth = 0

    def elements(self, description: Any) -> list[Element]:
        if not isinstance(description, list):
            raise ValueError(f"a list of layers was expected, not {description!r}")
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"layers are nested more than {DEEPEST} deep")
        elements = [self._element(item) for item in description]
        self._depth -= 1
        return elements

    def _element(self, item: Any) -> Element:
        self._count(1)
        if isinstance(item, list):
            elements = self.elements(item)
            self.copied += _numbers(elements)
            return self._group(elements)
        if not isinstance(item, dict) or str(item.get("layer")) not in KNOWN:
            raise ValueError(f"there is no layer {item!r}")
        kind = KNOWN[str(item["layer"])]
        arguments = {name: value for name, value in item.items() if name != "layer"}
        if kind is Shared:
            return self._shared_layer(arguments)
        parts = self.elements(arguments.pop("parts", None)) if issubclass(kind, Container) else []
        return self._make(kind, parts, arguments)

    def _shared_layer(self, arguments: dict[str, Any]) -> Layer:
        number = arguments.pop("number", None)
        if "parts" not in arguments:
            if arguments or not isinstance(number, int) or not 0 <= number < len(self._shared):
                raise ValueError(f"there is no shared layer {number!r} before its first use")
            layer, size = self._shared[number]
            self._count(size)
            return layer
        before = self._layers
        parts = self.elements(arguments.pop("parts"))
        if number != len(self._shared):
            raise ValueError(f"shared layer {len(self._shared)} has the number {number!r}")
        layer = self._make(Shared, parts, arguments)
        self._shared.append((layer, self._layers - before))
        return layer

    def _make(self, kind: type[Layer], parts: list[Element], arguments: dict[str, Any]) -> Layer:
        wrong = [
            v
            for name, v in arguments.items()
            if not (
                isinstance(v, bool | int | float | str | None)
                or (isinstance(v, list) and name in kind.number_checks)  # which checks its elements
            )
        ]
        if wrong or not arguments.keys() <= {field.name for field in fields(kind)} - {"parts"}:
            raise ValueError(f"{arguments!r} does not describe a {kind.__name__}")
        try:
            return kind(*parts, **arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{arguments!r} does not describe a {kind.__name__}: {error}"
            ) from None

    def _count(self, layers: int) -> None:
        self._layers += layers
        if self._layers > MOST_LAYERS:
            raise ValueError(f"there are more than {MOST_LAYERS:,} layers")
