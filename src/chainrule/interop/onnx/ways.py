"""From steps back to layers: where ways part and meet again, a container stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.columns import ByColumn, Tidying
from chainrule.interop.onnx.steps import Step
from chainrule.interop.onnx.written_out import MOST_PARTS, activation_of, evaluate
from chainrule.layers.layer import Element
from chainrule.models.architecture import Bundle

MOST_LAYERS, DEEPEST = 10_000, 20


class Ways:
    """The graph of steps, by the names of the values that they give.

    Of each value it knows the nearest one through which all ways to it lead. ``room`` is how many
    bytes joined layers may take. Errors are ValueError.
    """

    def __init__(self, source: str, steps: dict[str, Step], room: int) -> None:
        self._room, self.tidying = room, Tidying(room)
        self._steps, self._before, self._depth = steps, {source: source}, {source: 0}
        for name, step in steps.items():
            self._before[name] = self.last_common(step.inputs)
            self._depth[name] = self._depth[self._before[name]] + 1
        self._trained: dict[tuple[str, ...], Element] = {}
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
        self._count, self._trained = 0, {}
        self.tidying = Tidying(self._room)
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
        backwards: list[Element | ByColumn] = []
        while end != start:
            self._count += 1
            if self._count > MOST_LAYERS:
                raise ValueError(f"there are more than {MOST_LAYERS:,} layers")
            step = self._steps[end]
            if step.layers:
                backwards += reversed(self._layers(step))
                end = self._before[end]
                continue
            activation, begin = self._written_out(start, end)
            if not activation:
                begin = self._before[end]
                activation = self._meet(step, begin, depth)
            backwards += reversed(activation)
            end = begin
        return self.tidying.tidy(backwards[::-1])

    def _layers(self, step: Step) -> Sequence[Element | ByColumn]:
        if not step.parameters:
            if step.axis == -1 and step.columns is None:
                return step.layers
            (layer,) = step.layers
            if not isinstance(layer, ByColumn):
                layer = type(layer)()  # one of its own, to be checked
            self.tidying.checks[id(layer)] = [step]
            return (layer,)
        key = step.names
        if key not in self._trained:
            (spec,) = step.layers
            layer = self.tidying.own(spec, step.parameters)
            self._trained[key] = layers.Shared(layer) if key in self._shared else layer
        self._uses[key] += 1
        return (self._trained[key],)

    def _meet(self, step: Step, start: str, depth: int) -> list[Element]:
        if step.meeting == "choice":
            return self._between(start, self._chosen(step, start), depth)
        if step.meeting is None:
            raise ValueError(f"{step.label} is understood as a part of an activation only")
        ways = [self._between(start, name, depth + 1) for name in step.inputs]
        if len(ways) == 1:
            return ways[0]
        if step.meeting == "sum" and len(ways) == 2 and [] in ways and any(ways):
            return [layers.Residual(*(ways[0] or ways[1]))]
        meeting = layers.Parallel(*map(_one, ways), combine=step.meeting)
        if step.axis != -1:
            self.tidying.checks[id(meeting)] = [step]
        return [meeting]

    def _written_out(self, start: str, end: str) -> tuple[list[Element], str]:
        """Return the activation that leads to ``end``, if it is one, and the value it is of."""
        begin = end
        for _ in range(MOST_PARTS):
            if begin == start:
                break
            begin = self._before[begin]
            try:
                found = evaluate(self._steps, begin, end)
            except LookupError:
                break
            if activation := activation_of(found):
                return activation, begin
        return [], end

    def _chosen(self, step: Step, start: str) -> str:
        """Return the value that says what the other says wherever that one would be taken."""
        try:
            condition, one, other = (evaluate(self._steps, start, name) for name in step.inputs)
        except LookupError:
            condition = one = other = np.zeros(0, bool)
        if condition.any() and not condition.all():  # else one of them was not looked at
            same = np.isclose(one, other, rtol=1e-5, atol=1e-6)
            if same[condition].all():
                return step.inputs[2]
            if same[~condition].all():
                return step.inputs[1]
        raise ValueError(
            f"{step.label} is understood where both values are the same one, as in Softplus, only"
        )


def _one(elements: list[Element]) -> Element:
    """Return elements in a row as one."""
    if len(elements) == 1:
        return elements[0]
    return Bundle(elements) if elements else layers.Identity()
