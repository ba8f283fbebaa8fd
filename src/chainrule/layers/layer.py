"""What a layer is, and what else may stand among layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from chainrule.initializers import Initializer
from chainrule.plan.builder import PlanBuilder, Shape, Tensor


@dataclass(frozen=True)
class Parameter:
    """A trainable array of a layer: its shape, and how it begins."""

    shape: Shape
    initializer: Initializer


@dataclass(frozen=True)
class Layer:
    """A link of the chain, described.

    A subclass says what comes out for what goes in (:meth:`output_shape`), which parameters it
    has, and which instructions it becomes (:meth:`lower`). Shapes leave out the batch.

    Parameters
    ----------
    name : str, optional
        What messages and :func:`chainrule.explain` call it; a network has each name once.
    """

    name: str | None = field(default=None, kw_only=True, repr=False)

    # Whether the output's last axis follows from the input's last axis alone.
    by_last_axis: ClassVar[bool] = True

    @property
    def expected_shape(self) -> Shape | None:
        """The shortest input shape that the layer asks for; None if any will do."""
        return None

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape; ValueError, naming what is expected, if it does not fit."""
        return input_shape

    def parameters(self) -> dict[str, Parameter]:
        """Return the layer's parameters by name."""
        return {}

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        """Append the layer's instructions to ``plan``; return the tensor that leaves it."""
        raise NotImplementedError


class Group:
    """Layers in a row that stand among others as one element, as a network does.

    Attributes
    ----------
    layers : tuple of Layer or Group
    """

    layers: tuple[Element, ...]


Element = Layer | Group
