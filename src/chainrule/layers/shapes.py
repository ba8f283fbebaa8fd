"""The shapes of a network's values: found, checked, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

from chainrule.layers.graph import Graph, Node, layer_text
from chainrule.layers.layer import DoesNotFit, Layer
from chainrule.layers.lengths import (
    PartialShape,
    Unknown,
    either,
    known,
    least_of,
    product,
    text_of,
    with_last,
)
from chainrule.layers.linear import Linear
from chainrule.layers.windows import AXES
from chainrule.operations.operation import Shape
from chainrule.utils.inputs import input_names
from chainrule.utils.wording import in_code, plural

# The largest number of outputs of a layer for one row, a gigabyte of float32. Without a limit, a
# few layers that concatenate their input with itself could need any amount of memory.
MOST_NUMBERS = 1 << 28
# What the axes of signals and images are called, by their number.
NAMES = {1: ("features",), **{axes + 1: (*own, "channels") for axes, own in AXES.items()}}
# Of inputs of unknown shapes: more than any layer expects, so all larger numbers are alike.
MOST_AXES = 6


class _Value:
    """What is known of a value of the network: the shape that it has with each number of axes.

    Where a network is built, it may have several; layers that take it leave fewer.
    """

    def __init__(self, shapes: dict[int, PartialShape]) -> None:
        self.shapes = shapes
        self.narrowed_by: Node | None = None

    def narrow(self, shapes: dict[int, PartialShape], node: Node) -> None:
        """Keep the shapes that a node takes."""
        if shapes != self.shapes:
            self.shapes, self.narrowed_by = shapes, node


def _anything() -> _Value:
    return _Value({k: tuple(Unknown() for _ in range(k)) for k in range(1, MOST_AXES + 1)})


class _Misfit(NamedTuple):
    """The shapes that a layer does not take, and why; ``text`` is a whole sentence or its begin."""

    shapes: tuple[PartialShape, ...]
    text: str
    is_sentence: bool = False
    remedy: str = ""  # as that of DoesNotFit


def output_shapes(
    graph: Graph, shape: Shape | None, source: str = "the input", codes: Sequence[str] = ()
) -> list[Shape | None]:
    """Return every layer's output shape, None where it is not known from the input's ``shape``.

    Without ``shape``, rows are taken to be vectors wherever that is possible, though a linear
    layer, say, takes any number of axes. Errors are raised for layers that fit no input at all.
    ``source`` names the input in messages, and ``codes`` has an expression for each.
    """
    values = _inferred(graph, shape, source, codes)
    return [_known_shape(values[i]) for i in range(len(graph.nodes))]


def expected_shapes(graph: Graph) -> list[Shape | None]:
    """Return the shape of a row of each input that the layers take, None where there are several.

    As in :func:`output_shapes`, rows are taken to be vectors wherever that is possible.
    """
    values = _inferred(graph, None)
    return [_known_shape(values[place]) for place in graph.at_inputs([None] * graph.inputs)]


def last_lengths(graph: Graph) -> dict[int, int | None]:
    """Return how many channels each value has, None where no layer tells."""
    found: dict[int, int | None] = {}
    for place, value in _inferred(graph, None).items():
        lengths = {shape[-1] if shape else None for shape in value.shapes.values()}
        (length,) = lengths if len(lengths) == 1 else (None,)
        found[place] = length if isinstance(length, int) else None
    return found


def _inferred(
    graph: Graph, shape: Shape | None, source: str = "the input", codes: Sequence[str] = ()
) -> dict[int, _Value]:
    inference = _Inference(graph, shape, source, codes)
    for position in range(len(graph.nodes)):
        inference.infer(position)
    return inference.values


def _known_shape(value: _Value) -> Shape | None:
    first = next(iter(value.shapes.values()))
    return known(first) if len(first) == 1 or len(value.shapes) == 1 else None


class _Inference:
    """Finds the shapes of all values, in the order of the nodes."""

    def __init__(
        self, graph: Graph, shape: Shape | None, source: str, codes: Sequence[str]
    ) -> None:
        sources = input_names(source, graph.inputs)
        shapes: Sequence[Shape] = ()
        if shape is None:
            of_inputs = [_anything() for _ in sources]
        else:
            shapes = graph.input_shapes(shape)
            for own, called in zip(shapes, sources, strict=True):
                if 0 in own:
                    raise ValueError(
                        f"{called} must have no empty axis, but its shape is {shape_text(own)}."
                    )
            of_inputs = [_Value({len(own): own}) for own in shapes]
        self._graph = graph
        self.values = graph.at_inputs(of_inputs)
        # The inputs' names, also of what has an input's shape behind layers that take any.
        self._sources = graph.at_inputs(sources)
        # By their names, the known shapes of the inputs that each value is made of; and expressions
        # for all inputs.
        of_names = [{name: own} for name, own in zip(sources, shapes, strict=False)]
        self._origins = graph.at_inputs(of_names or [{} for _ in sources])
        self._codes = dict(zip(sources, codes or map(in_code, sources), strict=True))

    def infer(self, position: int) -> None:
        """Find what is known of a node's output, and what follows of its inputs.

        ValueError, if it takes none of the shapes that these may have.
        """
        node = self._graph.nodes[position]
        layer, inputs = node.layer, [self.values[i] for i in node.inputs]
        self._origins[position] = {
            name: own for i in node.inputs for name, own in self._origins[i].items()
        }
        taken: list[tuple[PartialShape, ...]] = []
        results: dict[int, PartialShape] = {}
        misfits, gives_anything = [], False
        possible = _in_common(inputs)
        for of_values in possible:
            given = tuple(with_last(shape, layer.last_length) for shape in of_values)
            result = _shape_after(node, given, is_certain=len(possible) == 1)
            if isinstance(result, _Misfit):
                misfits.append(result)
                continue
            taken.append(given)
            if result is None:
                gives_anything = True
            elif len(result) in results:
                pairs = zip(results[len(result)], result, strict=True)
                results[len(result)] = tuple(either(*pair) for pair in pairs)
            else:
                results[len(result)] = result
        if not taken:
            raise ValueError(self._message(position, misfits))
        for i, value in enumerate(inputs):
            value.narrow({len(given[i]): given[i] for given in taken}, node)
        first = node.inputs[0]
        if gives_anything:
            self.values[position] = _anything()
        elif (
            layer.last_length is None and not layer.axes and [results] == [v.shapes for v in inputs]
        ):
            self.values[position] = inputs[0]
            if first in self._sources:
                self._sources[position] = self._sources[first]
        else:
            self.values[position] = _Value(results)

    def _message(self, position: int, misfits: Sequence[_Misfit]) -> str:
        """Return why a node takes nothing: for the number of axes that it is made for, if given."""
        node = self._graph.nodes[position]
        layer, first = node.layer, node.inputs[0]
        misfit = min(misfits, key=lambda own: len(own.shapes[0]) != layer.axes + 1)
        text = f"{_called(node)} {misfit.text}"
        if misfit.is_sentence:
            return text
        value, giver = self.values[first], f"{_called(self._graph.nodes[first])} gives"
        if value.narrowed_by is not None:
            giver = f"{_called(value.narrowed_by)} takes the same in"
        elif first in self._sources:
            giver = f"{self._sources[first]} has"
        about = self._about_inputs(position, misfit)
        texts = [shape_text(own, misfit.shapes[0]) for own in misfit.shapes]
        if len(texts) > 1:
            differ = len(set(map(len, misfit.shapes))) > 1
            hint = "; Flatten() leaves one axis of each" if differ else ""
            merged = f"{', '.join(texts[:-1])} and {texts[-1]}"
            return f"{text}, but it merges shapes {merged}{about}{hint}."
        (shape,) = misfit.shapes
        if len(shape) > 1 and len(value.shapes) > 1:
            texts = [f"(n, ..., {text_of(shape[-1], 'features')})"]
        if isinstance(layer, Linear) and len(shape) > 1:
            features = product(shape)
            texts[0] += (
                f", of which Flatten() makes {features} features"
                if isinstance(features, int)
                else "; Flatten() makes features of all axes"
            )
        return f"{text}, but {giver} shape {texts[0]}{about}."

    def _about_inputs(self, position: int, misfit: _Misfit) -> str:
        """Return how to change the input that a node was given as it is, or the shapes of all."""
        origins = self._origins[position]
        if misfit.remedy and misfit.shapes == tuple(origins.values()):
            (name,) = origins
            return f": {misfit.remedy.format(x=self._codes[name])}"
        if len(misfit.shapes) == 1 and self._graph.nodes[position].inputs[0] in self._sources:
            return ""  # the message has the input's shape already
        known_shapes = (f"{name} has shape {shape_text(own)}" for name, own in origins.items())
        return f", as {' and '.join(known_shapes)}" if origins else ""


def _called(node: Node) -> str:
    return f"{layer_text(node.layer)} (layer {node.path})"


def _in_common(values: Sequence[_Value]) -> list[tuple[PartialShape, ...]]:
    """Return the values' shapes with each number of axes that all of them may have.

    If there is none, these are the first shapes of all, which do not fit together.
    """
    first = values[0].shapes
    in_all = [axes for axes in first if all(axes in value.shapes for value in values)]
    shapes = [tuple(value.shapes[axes] for value in values) for axes in in_all]
    return shapes or [tuple(next(iter(value.shapes.values())) for value in values)]


def _shape_after(
    node: Node, given: tuple[PartialShape, ...], *, is_certain: bool
) -> PartialShape | _Misfit | None:
    """Return what a node makes of shapes, and why if it does not take them; None: anything."""
    layer = node.layer
    try:
        if type(layer).output_shape is Layer.output_shape:
            result = layer.shape_after(*given)
        else:  # a user's layer, which takes known lengths
            shape = known(given[0])
            if shape is None:
                return None
            result = check_shape(layer.output_shape(shape), f"{_called(node)}: its output_shape")
    except DoesNotFit as error:
        return _Misfit(given, str(error), remedy=error.remedy)
    except ValueError as error:
        return _Misfit(given, str(error))
    except Exception:
        # A user's layer may fail in any way for a number of axes that its input need not have.
        if is_certain or type(layer).output_shape is Layer.output_shape:
            raise
        return None
    if result == given[0]:
        return result
    if 0 in result:
        text = f"must give no empty axis, but it gives shape {shape_text(result)}."
        return _Misfit(given, text, is_sentence=True)
    if (least := least_of(product(result))) > MOST_NUMBERS:
        text = f"gives {least:,} numbers for each row, but {MOST_NUMBERS:,} are the most that a "
        return _Misfit(given, text + "layer may give.", is_sentence=True)
    return result


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


def shape_text(shape: PartialShape | None, than: PartialShape = ()) -> str:
    """Return a shape as text for messages, with the batch first.

    Unknown lengths are compared with those of another shape, ``than``, of as many axes.

    >>> shape_text((4,)), shape_text((Unknown(), Unknown(), 3))
    ('(n, 4)', '(n, height, width, 3)')
    """
    if shape is None:
        return "depends on the input"
    if not shape:
        return "(n,)"
    names = NAMES.get(len(shape), ("?",) * len(shape))
    others = than if len(than) == len(shape) else (0,) * len(shape)
    return f"(n, {', '.join(map(text_of, shape, names, others))})"
