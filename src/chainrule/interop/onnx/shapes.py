"""What is known of the shapes of values while a file is read."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule import layers
from chainrule.interop.onnx.columns import ByColumn
from chainrule.interop.onnx.steps import ImportStep, Known
from chainrule.layers.layer import Layer
from chainrule.layers.lengths import Unknown, with_last


class Shapes:
    """The shapes of rows of values, their channels last; None where an axis is not known.

    ``sources`` has those of the inputs; a shape itself is None if its number of axes is not known.
    """

    def __init__(self, steps: Mapping[str, ImportStep], sources: dict[str, Known | None]) -> None:
        self._steps, self._known = steps, sources

    def of(self, value: str) -> Known | None:
        """Return the shape of a value."""
        if value not in self._known:
            step = self._steps.get(value)
            self._known[value] = None if step is None else self._after(step)
        return self._known[value]

    def _after(self, step: ImportStep) -> Known | None:
        if step.transposed is not None:
            return self._after(step.transposed)
        shape, *others = (self.of(name) for name in step.inputs)
        if step.part is not None:
            return None
        if shape is None:
            return (None,) if step.layers == (layers.Flatten(),) else None
        if step.half is not None:
            return (*shape[:-1], None if shape[-1] is None else shape[-1] // 2)
        if step.merge == "concatenate":
            lengths = [None if own is None else own[-1] for own in (shape, *others)]
            known = [length for length in lengths if length is not None]
            return (*shape[:-1], sum(known) if len(known) == len(lengths) else None)
        for layer in step.layers:
            shape = None if shape is None else _through(layer, shape)
        return shape


def _through(layer: Layer | ByColumn, shape: Known) -> Known | None:
    """Return the shape that a layer makes of one; None if it does not fit, which is found later."""
    if isinstance(layer, ByColumn):
        return shape
    lengths = tuple(Unknown() if length is None else length for length in shape)
    try:
        after = layer.shape_after(with_last(lengths, layer.last_length))
    except ValueError:
        return None
    return tuple(length if isinstance(length, int) else None for length in after)
