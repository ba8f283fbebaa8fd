"""ONNX nodes as steps: layers, a merge of several values, or a part of an activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from chainrule import layers
from chainrule.interop.onnx.columns import ByColumn
from chainrule.interop.onnx.tensors import DTYPES
from chainrule.layers.activation import Elementwise
from chainrule.layers.layer import Layer

Array = NDArray[Any]
OF_ELEMENTS = (Elementwise, layers.Identity, layers.Rescale)
Merge = Literal["sum", "concatenate", "product", "choice"]
Known = tuple[int | None, ...]  # a row's shape, with channels last; None is an unknown length
# Images that the file flattens channel by channel, side by side: how many channels and pixels each
# has; the pixels are None if they are not known. Columns that are none have one channel.
Layout = tuple[tuple[int, int | None], ...]
# Numbers that stand for the batch size, and for other lengths that are not known, in a shape.
BATCH, UNKNOWN = -(1 << 62), -(1 << 62) - 1


class Part(NamedTuple):
    """A value within a normalization of several operators.

    Attributes
    ----------
    kind : str
        What has been computed so far.
    x : str
        The value that is normalized.
    eps : float
    groups : int
        0 if it is none of groups.
    is_transposed : bool
        Whether the axes of x were put into another order, which another node must restore.
    """

    kind: str
    x: str
    eps: float = 0.0
    groups: int = 0
    is_transposed: bool = False


@dataclass
class ImportStep:
    """The computation of one node.

    Attributes
    ----------
    label : str
        The node's name in messages.
    inputs : tuple of str
    layers : tuple of Layer or ByColumn
        Applied in sequence to one value; a linear one has ``parameters`` and their ``names``.
    merge : str, optional
        How several values are merged; a choice takes the second where the first is true, else the
        third.
    function : function, optional
        The elementwise function, if known, as it may be a part of an activation. Without layers and
        ``merge``, the step can only be that.
    axis, columns : int, optional
        The node's axis, and the number of columns to which it reshapes.
    half : int, optional
        The half of its value that it returns, as a part of GLU.
    transposed : ImportStep, optional
        The step without the order of its axes, which another node must restore.
    is_codes : bool
        Whether the step only converts its value to integers, as indices into a table.
    part : Part, optional
        What it computes of a normalization.
    flattened : tuple
        The images in its columns that the file flattens channel by channel, but the step pixel by
        pixel; empty without any. ``parameters`` are in the file's order.
    ones : int, optional
        How many axes of length 1 its value has in the file behind the last one, as behind a global
        pooling; -1 if it has no axis for its only channel, or column; None if its inputs determine
        that.
    """

    label: str
    inputs: tuple[str, ...]
    layers: tuple[Layer | ByColumn, ...] = ()
    parameters: dict[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    merge: Merge | None = None
    function: Callable[..., Any] | None = None
    axis: int = -1
    columns: int | None = None
    half: int | None = None
    transposed: ImportStep | None = None
    is_codes: bool = False
    part: Part | None = None
    flattened: Layout = ()
    ones: int | None = None

    @property
    def squared(self) -> str | None:
        """The value whose square it is, if it is one."""
        if len(self.inputs) == 2 and self.merge == "product" and len(set(self.inputs)) == 1:
            return self.inputs[0]
        is_power = len(self.inputs) == 1 and self.function is not None and not self.layers
        numbers = np.array([-3.0, 0.5, 2.0])
        if is_power and self.function is not None and self.merge is None:
            with np.errstate(all="ignore"):
                if np.array_equal(self.function(numbers), numbers * numbers):
                    return self.inputs[0]
        return None

    @property
    def is_product(self) -> bool:
        """Whether it is a linear layer, with or without a bias."""
        return isinstance(next(iter(self.layers), None), layers.Linear)

    @property
    def is_elementwise(self) -> bool:
        """Whether it computes each element by itself, whatever the shape."""
        if not self.layers:
            is_part = self.half is not None or self.transposed is not None or self.is_codes
            is_part |= self.part is not None
            return self.merge != "concatenate" and not is_part
        return all(isinstance(layer, OF_ELEMENTS) for layer in self.layers)


def channels_last(steps: dict[str, ImportStep], value: str) -> str | None:
    """Return the name of a value with its channels last; None unless it has them after the batch.

    Its step is added where there is none.
    """
    step = steps.get(value)
    if step is None or step.transposed is None:
        return None
    if step.transposed.layers == (layers.Identity(),):
        return step.inputs[0]
    name = f"{value}, channels last"
    steps[name] = step.transposed
    return name


def lengths_text(lengths: Sequence[int]) -> str:
    """Return a file's shape as text for a message."""
    names = {BATCH: "batch", UNKNOWN: "?"}
    return f"({', '.join(names.get(n, str(n)) for n in lengths)})"


class ShapesOfValues(Protocol):
    """What is known of the shapes of values."""

    def of(self, value: str) -> Known | None:
        """Return a value's shape, without the batch."""


class NodeView:
    """A node while it is read: its inputs, and its attributes, each of which must be read.

    Its errors are ValueError; their messages continue a sentence that starts with the node's name.
    """

    def __init__(
        self,
        label: str,
        inputs: list[str],
        attributes: dict[str, Any],
        constants: dict[str, Array],
        steps: dict[str, ImportStep],
        batch: int | None,
        outputs: Sequence[str],
        shapes: ShapesOfValues,
    ) -> None:
        self._shapes = shapes
        self.label, self.inputs, self.outputs, self.batch = label, inputs, outputs, batch
        self._attributes, self._constants, self._steps = attributes, constants, steps

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute, of the default's type."""
        value = self._attributes.pop(name, default)
        if type(value) is not type(default):
            raise ValueError(f"has {name}={value!r}")
        return value

    def of_axes(self, name: str, default: list[int]) -> list[int]:
        """Return an attribute with a number for each axis, as the default."""
        numbers: list[int] = self.attribute(name, default)
        if len(numbers) != len(default):
            raise ValueError(f"has {name}={numbers}, not a number for each of {len(default)} axes")
        return numbers

    def tensor(self, name: str, default: Any) -> Any:
        """Return the one number that an attribute holds as a tensor."""
        value = self._attributes.pop(name, None)
        if value is None:
            return default
        is_here = isinstance(value, TensorProto) and value.data_location == TensorProto.DEFAULT
        if not is_here or value.data_type not in DTYPES or set(value.dims) - {1}:
            raise ValueError(f"has a {name} that is not one number")
        return numpy_helper.to_array(value).reshape(())[()]

    def expect(self, **expected: Any) -> None:
        """Raise ValueError if an attribute is present with another value."""
        for name, value in expected.items():
            found = self.attribute(name, value)
            if found != value:
                raise ValueError(f"has {name}={found!r}, where {value!r} is supported")

    def finish(self) -> None:
        """Raise ValueError if an attribute was not asked for."""
        if self._attributes:
            raise ValueError(f"has the attribute {next(iter(self._attributes))}, not supported")

    def has(self, number: int) -> bool:
        """Tell whether an input is given."""
        return number < len(self.inputs) and self.inputs[number] != ""

    def is_constant(self, number: int) -> bool:
        """Tell whether an input is known."""
        return number < len(self.inputs) and self.inputs[number] in self._constants

    def constant(self, number: int) -> Array:
        """Return an input that must be known."""
        if not self.is_constant(number):
            raise ValueError(f"has an input {number} that is no constant")
        return self._constants[self.inputs[number]]

    def value(self, number: int = 0) -> str:
        """Return the name of an input that must not be known."""
        if not self.has(number) or self.is_constant(number):
            raise ValueError(f"has an input {number} that is a constant, or missing")
        return self.inputs[number]

    def row(self, number: int, beside: str = "") -> Array:
        """Return an input that must be one known number, or one for each column or channel.

        It is broadcast to the value ``beside``, whose channels may be after the batch.
        """
        value, behind = self.constant(number), self._axes_behind_channels(beside)
        before = value.ndim - 1 - behind  # axes before that of the channels
        numbers = value.shape[max(before, 0) :]
        is_row = behind >= 0 and numbers in ((), (value.size, *[1] * behind))
        # With more axes, broadcasting would give them to the other operand.
        if value.dtype.kind not in "fi" or before > 1 or not (is_row or value.size == 1):
            one = f"one for each channel, of shape (channels, {', '.join('1' * behind)})"
            raise ValueError(
                f"has an input {number} of shape {value.shape}, where a number is supported, or "
                f"{one if behind > 0 else 'a row of them'}"
            )
        return value.astype(np.float64).reshape(() if value.size == 1 else -1)

    def _axes_behind_channels(self, value: str) -> int:
        """Return how many axes a value has in the file behind that of its channels, or columns."""
        step = self.step_of(value)
        if self.channels_last(value) is None:
            return 0 if step is None else step.ones or 0
        shape = self.shape(value)
        if shape is None:
            raise ValueError("takes images or signals whose number of axes is not known")
        return len(shape) - 1

    def shape(self, value: str) -> Known | None:
        """Return what is known of a value's shape, without the batch and with channels last."""
        return self._shapes.of(value)

    def number(self, number: int) -> float:
        """Return an input that must be one known number."""
        value = self.row(number)
        if value.ndim:
            raise ValueError(f"has an input {number} that is not one number")
        return float(value)

    def integers(self, number: int, *, are_lengths: bool = False) -> list[int]:
        """Return an input that must be a known row of integers.

        If they are lengths, ``BATCH`` and ``UNKNOWN`` may be among them.
        """
        value = self.constant(number)
        if value.ndim > 1 or value.dtype.kind != "i":
            raise ValueError(f"has an input {number} that is no row of integers")
        integers = [int(element) for element in value.reshape(-1)]
        if not are_lengths and {BATCH, UNKNOWN} & set(integers):
            raise ValueError(
                f"has an input {number} that depends on the shape of the network's input"
            )
        return integers

    def reshaped_rows(self, number: int) -> list[int]:
        """Return the shape of a row of what a Reshape makes, from its input with the whole shape.

        A length of -1 follows from the others, and ``UNKNOWN`` is one that is not known.
        """
        shape = self.integers(number, are_lengths=True)
        batches = {BATCH, self.batch}
        if not self.attribute("allowzero", 0):  # otherwise 0 means no rows
            batches.add(0)
        first, *row = shape or [0]
        if first not in batches and (first != -1 or -1 in row):
            raise ValueError(f"reshapes to {lengths_text(shape)}, not to as many rows as before")
        if not row or {0, BATCH} & set(row):
            raise ValueError(f"reshapes to {lengths_text(shape)}")
        return row

    def step_before(self, number: int) -> ImportStep | None:
        """Return the step that gives an input."""
        return self.step_of(self.value(number))

    def step_of(self, value: str) -> ImportStep | None:
        """Return the step that gives a value."""
        return self._steps.get(value)

    def channels_last(self, value: str) -> str | None:
        """Return the value with its channels last; None unless it has them after the batch."""
        return channels_last(self._steps, value)

    def give(self, number: int, step: ImportStep) -> None:
        """Note the step of an output behind the first one."""
        name = self.outputs[number]
        if name in self._steps or name in self._constants:
            raise ValueError(f"gives {name!r} a second time")
        self._steps[name] = step

    def add(self, step: ImportStep) -> str:
        """Add a step before the node's step; return the name of its output."""
        # Nodes may have the same label: their names are not always different.
        name = f"{step.label}, before {self.label}, {len(self._steps)}"
        self._steps[name] = step
        return name
