"""Scales and offsets of columns or channels, which are merged into linear layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import layers
from chainrule.layers.layer import Element

Array = NDArray[Any]
# Layers whose weight has its outputs along its last axis.
OfColumns = layers.Linear | layers.Conv1d | layers.Conv2d
OF_COLUMNS = layers.Linear, layers.Conv1d, layers.Conv2d


@dataclass(frozen=True, eq=False)
class ByColumn:
    """``y = x * scale + offset``, with a scale and an offset for each element of the last axis."""

    scale: Array
    offset: Array


class Simplifier:
    """Merges neighbouring layers, and holds the layers' parameters.

    Attributes
    ----------
    parameters : dict
        The parameters of layers, by their ids.
    checks : dict
        The steps whose axes or columns are compared with a layer's shape later, by the layer's id.
    """

    def __init__(self, limit: int) -> None:
        self._bytes_left = limit  # for new weights, of float64
        self.parameters: dict[int, dict[str, Array]] = {}
        self.checks: dict[int, list[Any]] = {}
        self._retained: list[Any] = []  # so that ids stay unique
        self._made: set[int] = set()  # ids of layers whose weight is not in the file

    def own(self, layer: Any, parameters: dict[str, Array]) -> Any:
        """Return a layer like this one, that will have these parameters."""
        layer = replace(layer)
        self.parameters[id(layer)] = parameters
        self._retained.append(layer)
        return layer

    def check(self, layer: Any, step: Any) -> None:
        """Let a step's axis and columns be compared with the layer's shape later."""
        self.checks[id(layer)] = [step]
        self._retained.append(layer)

    def simplify(self, elements: list[Element | ByColumn]) -> list[Element]:
        """Merge neighbours, and leave out identities."""
        simple: list[Any] = []
        for element in elements:
            joined: Any = element
            while simple and (pair := self._joined(simple[-1], joined)) is not None:
                simple.pop()
                joined = pair
            simple.append(joined)
        return [self._layer(element) for element in simple if element != layers.Rescale(1.0)]

    def _joined(self, first: Any, second: Any) -> Any:
        """Return one element that computes both in sequence, or None."""
        layer: OfColumns
        one, other = _numbers(first), _numbers(second)
        if one is not None and other is not None:
            scale, offset = one[0] * other[0], one[1] * other[0] + other[1]
            if np.ndim(scale) == 0:
                return layers.Rescale(float(scale), float(offset))
            fits = np.size(one[0]) in (1, scale.size) and np.size(other[0]) in (1, scale.size)
            return self._checked(ByColumn(scale, offset), first, second) if fits else None
        if isinstance(first, ByColumn) and isinstance(second, layers.Linear):
            if len(first.scale) != second.in_features:
                return None
            weight, bias = self._replaced(second)
            weight, bias = first.scale[:, None] * weight, first.offset @ weight + bias
            has_bias = second.bias or first.offset.any()
            layer = second
        elif isinstance(first, OF_COLUMNS) and isinstance(second, ByColumn):
            if len(second.scale) != _outputs(first):
                return None
            weight, bias = self._replaced(first)
            weight, bias = weight * second.scale, bias * second.scale + second.offset
            has_bias, layer = first.bias or second.offset.any(), first
        else:
            return None
        return self._checked(self._make(layer, weight, bias if has_bias else None), first, second)

    def _layer(self, element: Element | ByColumn) -> Element:
        """Return a ByColumn that was not merged as a linear layer with a diagonal weight."""
        if not isinstance(element, ByColumn):
            return element
        n = len(element.scale)
        self._take(8 * n * n)
        bias = element.offset if element.offset.any() else None
        layer = self._make(layers.Linear(n, n), np.diag(element.scale), bias)
        self._checked(layer, element)
        return layer

    def _make(self, like: OfColumns, weight: Array, bias: Array | None) -> OfColumns:
        """Return a layer like another one, with another weight and bias."""
        parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        layer: OfColumns = self.own(replace(like, bias=bias is not None), parameters)
        self._made.add(id(layer))
        return layer

    def _replaced(self, layer: OfColumns) -> tuple[Array, Array]:
        """Return weight and bias of a layer that is replaced by another of its shape."""
        parameters = self.parameters[id(layer)]
        if id(layer) in self._made:  # it has only this place
            del self.parameters[id(layer)]
        else:
            self._take(8 * parameters["weight"].size)
        return parameters["weight"], parameters.get("bias", np.zeros(_outputs(layer)))

    def _checked(self, joined: Any, *parts: Any) -> Any:
        """Give a merged layer the checks of its parts."""
        steps = [step for part in parts for step in self.checks.get(id(part), ())]
        if steps:
            self.checks[id(joined)] = steps
        self._retained.append(joined)
        return joined

    def _take(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise ValueError("its layers need more bytes of parameters than it has")


def _outputs(layer: OfColumns) -> int:
    return layer.out_features if isinstance(layer, layers.Linear) else layer.out_channels


def _numbers(element: Any) -> tuple[Any, Any] | None:
    if isinstance(element, layers.Rescale | ByColumn):
        return np.float64(element.scale), np.float64(element.offset)
    return None
