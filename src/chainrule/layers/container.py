"""Containers: layers made of layers, with branches that split and merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, ClassVar, Literal, get_args

from chainrule.layers.layer import Element, Group, Layer, repr_of_parts
from chainrule.layers.lengths import PartialShape, common_shape, total
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import kind_hint, shortened
from chainrule.utils.wording import possessive

__all__ = ["Branch", "Inputs", "Parallel", "Residual", "Shared"]

Combine = Literal["sum", "concatenate", "product"]


@dataclass(frozen=True, init=False, repr=False)
class Container(Layer):
    """Base of layers that contain layers, its parts.

    Each part is a node of the network's graph. A container that merges branches is a node after
    them, and its ``shape_after`` and ``lower`` take all values that it merges.

    Attributes
    ----------
    parts : tuple of Layer or Sequential
    """

    parts: tuple[Element, ...]

    part_name: ClassVar[str] = "layer"  # of a part, in messages
    least_parts: ClassVar[tuple[int, str]] = 1, "one layer"
    is_parallel: ClassVar[bool] = False  # whether each part takes the container's input

    def __init__(self, *parts: Element, name: str | None = None) -> None:
        kind = type(self).__name__
        least, in_words = self.least_parts
        if len(parts) < least:
            raise ValueError(f"{kind} needs at least {in_words}.")
        for position, part in enumerate(parts):
            check_element(part, f"{self.part_name.capitalize()} {position} of {kind}")
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "name", name)

    def merged_values(self, x: Any, ends: Sequence[Any]) -> Sequence[Any]:
        """Return the values that it merges, from its input x and its parts' outputs ``ends``."""
        return ()

    @property
    def short_repr(self) -> str:
        """The container's repr without its parts."""
        return f"{type(self).__name__}(...)"

    def __repr__(self) -> str:
        return repr_of_parts(self.short_repr, self.parts)


def check_element(element: object, what: str) -> None:
    """Raise TypeError unless it is a layer or a group of layers."""
    if not isinstance(element, Layer | Group):
        hint = kind_hint(element)
        if isinstance(element, list | tuple):
            hint = " Layers are arguments of their own: put a * before a list of them."
        elif callable(element) and not hint:
            hint = " cr.Activation makes a layer of a function."
        raise TypeError(f"{what} is no layer but {shortened(element)}.{hint}")


class Residual(Container):
    """Layers with a shortcut around them: ``y = x + layers(x)``.

    In the backward pass, the gradient by x is the sum over both branches: what comes back through
    the layers, and through the shortcut the gradient by y, unchanged.

    Shapes: input ``(n, *)``, output the same; the layers must keep the shape.

    Parameters
    ----------
    *layers : Layer or Sequential
        In a row; at least one.

    Raises
    ------
    ValueError
        Without layers; and when the network is built, if they do not keep the shape.
    TypeError
        If one of them is no layer.

    References
    ----------
    He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Residual(cr.Rescale(0.5), cr.ReLU()))
    >>> net.predict([[-2.0, 4.0]])
    array([[-2.,  6.]], dtype=float32)
    """

    def merged_values(self, x: Any, ends: Sequence[Any]) -> Sequence[Any]:
        return (x, *ends)

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        shape = common_shape(shapes)
        if shape is None:
            raise ValueError("expects layers that keep the shape")
        return shape

    def lower(self, plan: PlanBuilder, x: Tensor, *others: Tensor) -> Tensor:
        return plan.apply("add", x, *others)


@dataclass(frozen=True, init=False, repr=False)
class Parallel(Container):
    """Branches with the same input, whose outputs are merged.

    Shapes: input ``(n, *)``. For a sum or a product, the branches' outputs have the same shape,
    which is the output's. For a concatenation along the last axis, they agree in all other axes.

    Parameters
    ----------
    *branches : Layer or Sequential
        At least two.
    combine : {"sum", "concatenate", "product"}
        How the outputs are merged: added, concatenated, or multiplied elementwise.

    Raises
    ------
    ValueError
        With less than two branches or another ``combine``; and when the network is built, if the
        shapes do not fit together.
    TypeError
        If a branch is no layer.

    Examples
    --------
    A gated unit, one branch times a number between 0 and 1 of another:

    >>> import chainrule as cr
    >>> gated = cr.Parallel(
    ...     cr.Linear(4, 8), cr.Sequential(cr.Linear(4, 8), cr.Sigmoid()), combine="product"
    ... )
    >>> list(cr.Sequential(gated, seed=0).parameters())
    ['0.0.weight', '0.0.bias', '0.1.0.weight', '0.1.0.bias']
    """

    combine: Combine

    part_name = "branch"
    parts_name: ClassVar[str] = "branches"
    least_parts = 2, "two branches"
    is_parallel = True

    def __init__(
        self, *branches: Element, combine: Combine = "sum", name: str | None = None
    ) -> None:
        super().__init__(*branches, name=name)
        if combine not in get_args(Combine):
            raise ValueError(
                f"{possessive(type(self).__name__)} combine must be 'sum', 'concatenate' or "
                f"'product', not {combine!r}."
            )
        object.__setattr__(self, "combine", combine)

    def merged_values(self, x: Any, ends: Sequence[Any]) -> Sequence[Any]:
        return ends

    @property
    def short_repr(self) -> str:
        return f"{type(self).__name__}(..., combine={self.combine!r})"

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        if self.combine != "concatenate":
            shape = common_shape(shapes)
            if shape is None:
                raise ValueError(f"expects {self.parts_name} that give the same shape")
            return shape
        places = common_shape([shape[:-1] for shape in shapes])
        if not all(shapes) or places is None:
            raise ValueError(
                f"expects {self.parts_name} whose shapes differ in nothing but the last axis"
            )
        return (*places, total(tuple(shape[-1] for shape in shapes)))

    def lower(self, plan: PlanBuilder, x: Tensor, *others: Tensor) -> Tensor:
        if self.combine == "concatenate":
            return plan.concatenate((x, *others))
        operation = "add" if self.combine == "sum" else "multiply"
        return reduce(partial(plan.apply, operation), others, x)


class Inputs(Parallel):
    """Several inputs: each part takes an input of its own, and their outputs are merged.

    It must be the first layer of a network. The network's X is then a tuple with an array for each
    part, in their order, all with the same number of rows; gradients by x are such tuples, too.

    Shapes: inputs ``(n, *)``, one for each part. For a concatenation along the last axis, the
    parts' outputs agree in all other axes; for a sum or a product, they have the same shape.

    Parameters
    ----------
    *parts : Layer or Sequential
        At least two. The output of ``Identity()`` is its input, unchanged.
    combine : {"concatenate", "sum", "product"}
        How the outputs are merged: concatenated, added, or multiplied elementwise.

    Raises
    ------
    ValueError
        With less than two parts or another ``combine``; and when the network is built, if it is not
        the first layer, or the shapes do not fit together.
    TypeError
        If a part is no layer.

    Examples
    --------
    Images of 8 x 8 pixels, and a table of three columns:

    >>> import numpy as np
    >>> import chainrule as cr
    >>> image = cr.Sequential(cr.Rescale(1 / 255), cr.Flatten(), cr.Linear(64, 16), cr.ReLU())
    >>> net = cr.Sequential(cr.Inputs(image, cr.Identity()), cr.Linear(16 + 3, 1), seed=0)
    >>> images, table = np.zeros((5, 8, 8), np.uint8), np.zeros((5, 3))
    >>> net.predict((images, table)).shape
    (5, 1)
    """

    part_name = "part"
    parts_name = "parts"
    least_parts = 2, "two parts"

    def __init__(
        self, *parts: Element, combine: Combine = "concatenate", name: str | None = None
    ) -> None:
        super().__init__(*parts, combine=combine, name=name)


class Branch(Container):
    """Several outputs: each head takes the same input and has an output.

    It must be the last layer of a network. The network's output is then a tuple with an array for
    each head, and its loss is a :class:`MultiLoss`, with a loss for each.

    Parameters
    ----------
    *heads : Layer or Sequential
        At least two. The output of ``Identity()`` is that of the layer before.

    Raises
    ------
    ValueError
        With less than two heads; and when the network is built, if it is not the last layer.
    TypeError
        If a head is no layer.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> heads = cr.Branch(cr.Linear(8, 10), cr.Linear(8, 1))
    >>> net = cr.Sequential(cr.Linear(4, 8), cr.ReLU(), heads, seed=0)
    >>> classes, value = net.predict(np.zeros((5, 4)))
    >>> classes.shape, value.shape
    ((5, 10), (5, 1))
    """

    part_name = "head"
    least_parts = 2, "two heads"
    is_parallel = True

    def __init__(self, *heads: Element) -> None:
        super().__init__(*heads)


class Shared(Container):
    """Layers that may be used in several places, with the same parameters in all of them.

    Parameters are named after the first place. In each place the layers are applied to another
    input, and the gradient of a parameter is the sum over the places.

    Shapes: those of the layers in sequence.

    Parameters
    ----------
    *layers : Layer or Sequential
        In a row; at least one.

    Raises
    ------
    ValueError
        Without layers.
    TypeError
        If one of them is no layer.

    Notes
    -----
    Only the same object has the same parameters: two objects with equal arguments do not. Two
    networks with the same ``Shared`` have different parameters.

    Examples
    --------
    >>> import chainrule as cr
    >>> step = cr.Shared(cr.Linear(8, 8), cr.Tanh())
    >>> net = cr.Sequential(step, step, step, cr.Linear(8, 2), seed=0)
    >>> list(net.parameters())
    ['0.0.weight', '0.0.bias', '3.weight', '3.bias']
    """

    # What is shared is the object.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, *layers: Element) -> None:
        super().__init__(*layers)
