"""From steps back to layers: where ways part and meet again, a container stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite, pi, sqrt
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.architecture import Bundle
from chainrule.interop.onnx.steps import Array, Step, erf_of
from chainrule.layers.layer import Element, Layer

MOST_LAYERS, DEEPEST = 10_000, 20
MOST_PARTS = 20  # of an activation that is written out
SAMPLES = np.linspace(-4.0, 4.0, 40)  # 0, where all of them are 0, is not among them
ACTIVATIONS: tuple[tuple[Layer, Array], ...] = (
    (layers.SiLU(), SAMPLES / (1 + np.exp(-SAMPLES))),
    (layers.GELU(), SAMPLES * 0.5 * (1 + erf_of(SAMPLES * sqrt(0.5)))),
    (
        layers.GELU("tanh"),
        SAMPLES * 0.5 * (1 + np.tanh(sqrt(2 / pi) * (SAMPLES + 0.044715 * SAMPLES**3))),
    ),
)


class Ways:
    """The graph of steps, by the names of the values that they give.

    Of each value it knows the nearest one through which all ways to it lead. Errors are ValueError.
    """

    def __init__(self, source: str, steps: dict[str, Step]) -> None:
        self._steps, self._before, self._depth = steps, {source: source}, {source: 0}
        for name, step in steps.items():
            self._before[name] = self.last_common(step.inputs)
            self._depth[name] = self._depth[self._before[name]] + 1
        self.checks: dict[int, Step] = {}  # what is to be compared with shapes, by the layer's id
        self.parameters: dict[int, dict[str, Array]] = {}  # by the layer's id
        self._linear: dict[tuple[str, ...], Element] = {}
        self._uses: Counter[tuple[str, ...]] = Counter()
        self._shared: set[tuple[str, ...]] = set()
        self._count = 0

    def last_common(self, names: Sequence[str]) -> str:
        """Return the last value through which all ways to these lead."""
        first, *others = names
        for other in others:
            while first != other:
                if self._depth[first] >= self._depth[other]:
                    first = self._before[first]
                else:
                    other = self._before[other]
        return first

    def network(self, source: str, outputs: Sequence[str]) -> list[Element]:
        """Return the elements of a network that gives these values."""
        self._elements(source, outputs)  # to see what stands in several places
        self._shared = {key for key, uses in self._uses.items() if uses > 1}
        self._count, self._linear = 0, {}
        self.checks, self.parameters = {}, {}
        return self._elements(source, outputs) or [layers.Identity()]

    def _elements(self, source: str, outputs: Sequence[str]) -> list[Element]:
        if len(outputs) == 1:
            return self._between(source, outputs[0], 0)
        common = self.last_common(outputs)
        heads = [_one(self._between(common, output, 1)) for output in outputs]
        return [*self._between(source, common, 0), layers.Branch(*heads)]

    def _between(self, start: str, end: str, depth: int) -> list[Element]:
        """Return what lies between two values, one of which all ways to the other lead through."""
        if depth > DEEPEST:
            raise ValueError(f"ways part within ways more than {DEEPEST} deep")
        backwards: list[Element] = []
        while end != start:
            self._count += 1
            if self._count > MOST_LAYERS:
                raise ValueError(f"there are more than {MOST_LAYERS:,} layers")
            step = self._steps[end]
            end = self._before[end]
            if step.meeting is None:
                backwards.append(self._layer(step))
            else:
                backwards += reversed(self._meet(step, end, depth))
        return _tidy(backwards[::-1])

    def _layer(self, step: Step) -> Element:
        if step.layer is None:
            raise ValueError(f"{step.label} is understood as a part of GELU only")
        if not step.parameters:
            layer: Layer = step.layer
            if step.axis != -1 or step.columns is not None:
                layer = type(layer)()  # one of its own, to be checked
                self.checks[id(layer)] = step
            return layer
        key = step.names
        if key not in self._linear:
            rows, columns = step.parameters["weight"].shape
            linear = layers.Linear(rows, columns, bias="bias" in step.parameters)
            self.parameters[id(linear)] = step.parameters
            self._linear[key] = layers.Shared(linear) if key in self._shared else linear
        self._uses[key] += 1
        return self._linear[key]

    def _meet(self, step: Step, start: str, depth: int) -> list[Element]:
        activation = self._activation(step, start)
        if activation is not None:
            return activation
        ways = [self._between(start, name, depth + 1) for name in step.inputs]
        if len(ways) == 1:
            return ways[0]
        if step.meeting == "sum" and len(ways) == 2 and [] in ways and any(ways):
            return [layers.Residual(*(ways[0] or ways[1]))]
        assert step.meeting is not None
        meeting = layers.Parallel(*map(_one, ways), combine=step.meeting)
        if step.axis != -1:
            self.checks[id(meeting)] = step
        return [meeting]

    def _activation(self, step: Step, start: str) -> list[Element] | None:
        """Return the activation that the steps since a value write out, if it is one."""
        try:
            found = self._evaluate(step, start, [MOST_PARTS])
        except LookupError:
            return None
        for layer, values in ACTIVATIONS:
            scale = float(f"{found[-1] / values[-1]:.6g}")
            if isfinite(scale) and scale and np.allclose(found / scale, values, 1e-5, 1e-6):
                return [layer, layers.Rescale(scale)]
        return None

    def _evaluate(self, step: Step, start: str, left: list[int]) -> Array:
        """Return a step's values at the samples; LookupError if it is no function of elements."""
        left[0] -= 1
        if left[0] < 0:
            raise LookupError
        values = [
            SAMPLES if name == start else self._evaluate(self._steps[name], start, left)
            for name in step.inputs
        ]
        with np.errstate(all="ignore"):
            if step.function is not None:
                return step.function(values[0])
            if step.meeting == "sum":
                return np.asarray(np.sum(values, axis=0))
            if step.meeting == "product":
                return np.asarray(np.prod(values, axis=0))
        raise LookupError


def _one(elements: list[Element]) -> Element:
    """Return elements in a row as one."""
    if len(elements) == 1:
        return elements[0]
    return Bundle(elements) if elements else layers.Identity()


def _tidy(elements: list[Element]) -> list[Element]:
    """Join neighbours that rescale, and leave out those that change nothing."""
    tidy: list[Any] = []
    for element in elements:
        if isinstance(element, layers.Rescale) and tidy and isinstance(tidy[-1], layers.Rescale):
            before = tidy.pop()
            offset = before.offset * element.scale + element.offset
            element = layers.Rescale(before.scale * element.scale, offset)
        tidy.append(element)
    return [element for element in tidy if element != layers.Rescale(1.0)]
