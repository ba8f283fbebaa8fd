"""Conversion of steps to layers: branches that split and merge become a container."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from chainrule import layers
from chainrule.interop.onnx.columns import ByColumn, Simplifier
from chainrule.interop.onnx.layouts import in_order
from chainrule.interop.onnx.steps import ImportStep
from chainrule.interop.onnx.written_out import MOST_PARTS, activation_of, evaluate
from chainrule.layers.layer import Element
from chainrule.models.architecture import Bundle

MOST_LAYERS, DEEPEST = 10_000, 20
ROOT = ""  # no value's name


class StepGraph:
    """The graph of steps, by the names of their outputs.

    For each value it holds the last one before it that all paths go through (its immediate
    dominator). All paths begin at the source, or at a root before several sources. ``limit`` is how
    many bytes joined layers may take. Errors are ValueError.
    """

    def __init__(self, sources: list[str], steps: dict[str, ImportStep], limit: int) -> None:
        self._limit, self.simplifier = limit, Simplifier(limit)
        self._sources = sources
        root = self._root = sources[0] if len(sources) == 1 else ROOT
        self._steps, self._before, self._depth = steps, {root: root}, {root: 0}
        if len(sources) > 1:
            self._before |= dict.fromkeys(sources, root)
            self._depth |= dict.fromkeys(sources, 1)
        for name, step in steps.items():
            self._before[name] = self.last_common(step.inputs)
            self._depth[name] = self._depth[self._before[name]] + 1
        self._trained: dict[tuple[str, ...], Element] = {}
        self._uses: Counter[tuple[str, ...]] = Counter()
        self._shared: set[tuple[str, ...]] = set()
        self._count = 0

    def last_common(self, names: Sequence[str]) -> str:
        """Return the last value that is on all paths to these: their immediate dominator."""
        first, *others = names
        for other in others:
            while first != other:
                if self._depth[first] >= self._depth[other]:
                    first = self._before[first]
                else:
                    other = self._before[other]
        return first

    def network(self, outputs: Sequence[str]) -> list[Element]:
        """Return the elements of a network with these outputs."""
        self._elements(outputs)  # to count the places of each layer
        self._shared = {key for key, uses in self._uses.items() if uses > 1}
        self._count, self._trained = 0, {}
        self.simplifier = Simplifier(self._limit)
        return self._elements(outputs) or [layers.Identity()]

    def _elements(self, outputs: Sequence[str]) -> list[Element]:
        if len(outputs) == 1:
            return self._between(self._root, outputs[0], 0)
        common = self.last_common(outputs)
        heads = [_one(self._between(common, output, 1)) for output in outputs]
        return [*self._between(self._root, common, 0), layers.Branch(*heads)]

    def _between(self, start: str, end: str, depth: int) -> list[Element]:
        """Return the layers from ``start``, which is on all paths to ``end``, to ``end``."""
        if depth > DEEPEST:
            raise ValueError(f"branches are nested more than {DEEPEST} deep")
        backwards: list[Element | ByColumn] = []
        while end != start:
            self._count += 1
            if self._count > MOST_LAYERS:
                raise ValueError(f"there are more than {MOST_LAYERS:,} layers")
            if end in self._sources:
                raise ValueError(f"an output follows from its input {end!r} alone")
            step = self._steps[end]
            if step.layers:
                backwards += reversed(self._layers(step))
                end = self._before[end]
                continue
            activation, begin = self._written_out(start, end)
            if not activation:
                begin = self._before[end]
                activation = self._merge(step, begin, depth)
            backwards += reversed(activation)
            end = begin
        return self.simplifier.simplify(backwards[::-1])

    def _layers(self, step: ImportStep) -> Sequence[Element | ByColumn]:
        if not step.parameters:
            if step.axis == -1 and step.columns is None:
                return step.layers
            (layer,) = step.layers
            if not isinstance(layer, ByColumn):
                layer = replace(layer)  # another object, as checks are stored by id
            self.simplifier.check(layer, step)
            return (layer,)
        key = step.names
        if key not in self._trained:
            (spec,) = step.layers
            parameters = {
                name: in_order(step.flattened, array) for name, array in step.parameters.items()
            }
            layer = self.simplifier.own(spec, parameters)
            if step.axis != -1:
                self.simplifier.check(layer, step)
            self._trained[key] = layers.Shared(layer) if key in self._shared else layer
        self._uses[key] += 1
        return (self._trained[key],)

    def _merge(self, step: ImportStep, start: str, depth: int) -> list[Element]:
        if step.merge == "choice":
            return self._between(start, self._chosen(step, start), depth)
        if step.is_codes:
            raise ValueError(f"{step.label} casts to integers, which only Gather may take")
        if step.transposed is not None:
            raise ValueError(f"{step.label} has axes in another order, which nothing restores")
        if step.merge is None:
            raise ValueError(
                f"{step.label} is supported as a part of an activation or a normalization only"
            )
        if start == ROOT:
            merged = self._merge_inputs(step, depth)
            if step.axis != -1:
                self.simplifier.check(merged, step)
            return [merged]
        branches = [self._between(start, name, depth + 1) for name in step.inputs]
        if len(branches) == 1:
            return branches[0]
        if step.merge == "sum" and len(branches) == 2 and [] in branches and any(branches):
            return [layers.Residual(*(branches[0] or branches[1]))]
        parallel = layers.Parallel(*map(_one, branches), combine=step.merge)
        if step.axis != -1:
            self.simplifier.check(parallel, step)
        return [parallel]

    def _merge_inputs(self, step: ImportStep, depth: int) -> Element:
        """Return what merges values, each of which follows from an input of its own."""
        assert step.merge is not None
        assert step.merge != "choice"
        merged = list(self._merged(step))
        sources = list(map(self._source_of, merged))
        values = dict(zip(sources, merged, strict=True))
        in_order = step.merge != "concatenate" or sources == self._sources
        if not in_order or sorted(sources) != sorted(self._sources):
            raise ValueError(
                f"{step.label} must merge {len(self._sources)} values, each from an input of its "
                "own, in their order"
            )
        parts = [self._between(source, values[source], depth + 1) for source in self._sources]
        return layers.Inputs(*map(_one, parts), combine=step.merge)

    def _merged(self, step: ImportStep) -> Iterator[str]:
        """Yield the values that a step merges, also by steps of its kind before it."""
        for name in step.inputs:
            before = self._steps.get(name)
            if before is not None and before.merge == step.merge and not self._source_of(name):
                yield from self._merged(before)
            else:
                yield name

    def _source_of(self, name: str) -> str:
        """Return the only input that a value follows from; the root if there are several."""
        while name not in self._sources and name != ROOT:
            name = self._before[name]
        return name

    def _written_out(self, start: str, end: str) -> tuple[list[Element], str]:
        """Return the activation that computes ``end``, if any, and its input."""
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

    def _chosen(self, step: ImportStep, start: str) -> str:
        """Return the alternative that equals the other one wherever the condition selects it."""
        try:
            condition, one, other = (evaluate(self._steps, start, name) for name in step.inputs)
        except LookupError:
            condition = one = other = np.zeros(0, bool)
        if condition.any() and not condition.all():  # otherwise the samples do not compare both
            same = np.isclose(one, other, rtol=1e-5, atol=1e-6)
            if same[condition].all():
                return step.inputs[2]
            if same[~condition].all():
                return step.inputs[1]
        raise ValueError(
            f"{step.label} is supported where both values are the same one, as in Softplus, only"
        )


def _one(elements: list[Element]) -> Element:
    """Return a sequence of elements as one element."""
    if len(elements) == 1:
        return elements[0]
    return Bundle(elements) if elements else layers.Identity()
