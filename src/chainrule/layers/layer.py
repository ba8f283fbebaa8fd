"""The base class of layers, and of groups of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from textwrap import indent
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from chainrule.layers.initializers import Initializer
from chainrule.layers.lengths import PartialShape, known
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import Numbers, integer

MOST_COLUMNS = 88  # of a repr on one line


@dataclass(frozen=True)
class Parameter:
    """A trainable array of a layer: its shape, and the initializer of its values.

    Parameters
    ----------
    shape : tuple of int
        Each at least 0.
    initializer : Initializer
        One of :mod:`chainrule.initializers`, or your own.
    fan_in : int, optional
        The number of inputs that one output is a sum over, by which initializers scale. By default
        the length of the first axis of the layer's ``weight``, and 1 without one.
    torch_axes : tuple of int, optional
        The order of these axes in PyTorch's parameter, as in ``numpy.transpose``: ``(1, 0)``
        for a linear layer's weight. By default the same order.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Parameter((3, 2), cr.initializers.Zeros()).shape
    (3, 2)
    """

    shape: Shape
    initializer: Initializer
    fan_in: int | None = None
    torch_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple | list):
            raise TypeError(
                f"A parameter's shape must be a tuple such as (3,), not {self.shape!r}."
            )
        shape = tuple(integer(n, "A parameter's length", least=0) for n in self.shape)
        object.__setattr__(self, "shape", shape)
        if not isinstance(self.initializer, Initializer):
            raise TypeError(
                "A parameter's initializer must be one such as cr.initializers.Zeros(), not "
                f"{self.initializer!r}."
            )
        if self.fan_in is not None:
            object.__setattr__(
                self, "fan_in", integer(self.fan_in, "A parameter's fan_in", least=1)
            )
        if self.torch_axes is not None:
            self._check_axes(self.torch_axes, len(shape))

    def _check_axes(self, axes: Any, dimensions: int) -> None:
        if not isinstance(axes, tuple | list):
            raise TypeError(
                f"A parameter's torch_axes must be a tuple such as (1, 0), not {axes!r}."
            )
        order = tuple(integer(axis, "An axis in torch_axes", least=0) for axis in axes)
        if sorted(order) != list(range(dimensions)):
            raise ValueError(
                f"A parameter's torch_axes must be an order of its {dimensions} axes, not {axes!r}."
            )
        object.__setattr__(self, "torch_axes", order)


class Buffer(NamedTuple):
    """An array of a layer that is saved with its parameters, but not trained: a running mean.

    Attributes
    ----------
    shape : tuple of int
    value : float, or sequence of float
        What all elements begin with, or each of them.
    is_count : bool
        Whether it counts: PyTorch has it as an integer.
    """

    shape: Shape
    value: float | Sequence[float] = 0.0
    is_count: bool = False


@dataclass(frozen=True)
class Layer(Numbers):
    """The base of layers, which are immutable descriptions.

    A subclass defines its :meth:`parameters`, its steps in a plan (:meth:`lower`), and its output's
    shape: by :meth:`shape_after`, or by :meth:`output_shape` where it must know the input's. Shapes
    are without the batch.

    Parameters
    ----------
    name : str, optional
        Used in messages and by :func:`chainrule.explain`; unique in a network.
    """

    name: str | None = field(default=None, kw_only=True, repr=False)

    # How many axes its windows slide along, between the batch and the channels; 0 if it has none.
    axes: ClassVar[int] = 0
    # Whether it does something else in a training step than where the network predicts.
    differs_in_training: ClassVar[bool] = False
    # Whether it does the same with columns in any order, if its numbers for them are in that one.
    in_any_order: ClassVar[bool] = False
    # The axis along which PyTorch's counterpart has the channels: 1, behind the batch, or the last
    # one, -1; None where it makes no difference.
    torch_axis: ClassVar[int | None] = None
    # Whether its outputs are probabilities, which losses that take logits compute themselves.
    gives_probabilities: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.check_numbers()

    @property
    def rows_are_independent(self) -> bool:
        """Whether each row of a prediction depends on its own row of the input only."""
        return True

    # Whether its input must be the network's, or columns of it, as check_codes checks it.
    takes_codes: ClassVar[bool] = False

    @property
    def last_length(self) -> int | None:
        """The length that the input's last axis must have; None if it may have several."""
        return None

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        """Return the output's shape, for an input's shape whose lengths may be unknown.

        The last one is known if it may be ``last_length``. ValueError, naming what is
        expected, if no lengths fit.
        """
        return shapes[0]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape; ValueError, naming what is expected, if it does not fit."""
        shape = known(self.shape_after(input_shape))
        assert shape is not None  # as the input's is known
        return shape

    def parameters(self) -> dict[str, Parameter]:
        """Return the layer's parameters by name."""
        return {}

    def buffers(self) -> dict[str, Buffer]:
        """Return by name what is saved with the parameters, but not trained."""
        return {}

    def check_training_batch(self, rows: int, input_shape: Shape) -> None:
        """Raise DoesNotFit, naming what is expected, unless a step may have so many rows."""

    def check_codes(
        self,
        x: NDArray[Any],
        name: str,
        layer: str,
        columns: Sequence[int] | None = None,
        column_names: Sequence[Any] = (),
    ) -> None:
        """Raise ValueError, naming row and column, if x has a value that the layer does not take.

        ``name`` is what messages call x; ``layer`` says which layer it is. With ``columns``, the
        layer gets these columns of x only. ``column_names`` are those of x, if it is a table.
        """

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        """Append the layer's steps to ``plan``; return the output."""
        raise NotImplementedError


def short_repr(layer: Layer, *by_position: str) -> str:
    """Return the call that makes a layer: some arguments by position, others unless the default.

    >>> from chainrule import BatchNorm
    >>> short_repr(BatchNorm(4, momentum=None), "features")
    'BatchNorm(4, momentum=None)'
    """
    values = {field.name: (getattr(layer, field.name), field) for field in fields(layer)}
    texts = [repr(values.pop(name)[0]) for name in by_position]
    texts += [f"{n}={v!r}" for n, (v, f) in values.items() if f.repr and v != f.default]
    return f"{type(layer).__name__}({', '.join(texts)})"


def repr_of_parts(short: str, parts: Sequence[object]) -> str:
    """Return a container's short repr with its parts: on one line, or on a line each.

    >>> print(repr_of_parts("Parallel(..., combine='sum')", ["a" * 40, "b" * 40]))
    Parallel(
        'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
        'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',
        combine='sum',
    )
    """
    before, after = short.split("...")
    texts = list(map(repr, parts))
    line = f"{before}{', '.join(texts)}{after}"
    if len(line) <= MOST_COLUMNS and "\n" not in line:
        return line
    options = after[:-1].removeprefix(", ")
    lines = "".join(f"{text},\n" for text in [*texts, options] if text)
    return f"{before}\n{indent(lines, ' ' * 4)})"


class DoesNotFit(ValueError):  # noqa: N818 - named for what was found
    """A shape does not fit a layer: the message says what the layer expects.

    Attributes
    ----------
    remedy : str
        How to get there. ``{x}`` in it stands for the network's input, if that is what the layer
        was given.
    """

    def __init__(self, expected: str, remedy: str = "") -> None:
        super().__init__(expected)
        self.remedy = remedy


class Group:
    """A sequence of layers as one element among others, as a network in a network.

    Attributes
    ----------
    layers : tuple of Layer or Group
    """

    layers: tuple[Element, ...]

    def __repr__(self) -> str:
        return repr_of_parts("Sequential(...)", self.layers)


Element = Layer | Group
