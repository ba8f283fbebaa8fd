"""Layers that change height and width of images, or the length of signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.layers.layer import Layer, short_repr
from chainrule.layers.lengths import PartialShape, scaled
from chainrule.layers.windows import apply_to_images, check_axes, for_each_axis, lengths, pair
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import shortened

__all__ = ["Upsample", "ZeroPad"]

Pairs = tuple[tuple[int, int], ...]


def _padding(value: Any, name: str, dtype: np.dtype | None = None) -> int | tuple[Any, ...]:
    """Return an integer, or a tuple with an integer or a pair of them for each axis."""
    at_both_ends = lengths(2, least=-(1 << 30))
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        number: int = at_both_ends(value, name, dtype)
        return number
    if len(value) not in (1, 2):
        raise ValueError(
            f"{name} must be an integer, or a tuple with an integer or a pair of them for each "
            f"axis, not {shortened(value)}."
        )
    return tuple(at_both_ends(own, f"{name}[{i}]", dtype) for i, own in enumerate(value))


@dataclass(frozen=True, repr=False)
class ZeroPad(Layer):
    """Zeros around an image, or at both ends of a signal.

    Shapes: input ``(n, height, width, channels)`` or ``(n, length, channels)``, output the same
    with longer axes.

    Parameters
    ----------
    padding : int, or tuple with an int or a pair of them for each axis
        How many zeros are added before and after each axis but those of the batch and the
        channels, as in ``numpy.pad``: ``((top, bottom), (left, right))``. A negative number cuts
        that many pixels off. (PyTorch has another order, ``ZeroPad2d((left, right, top, bottom))``,
        and its ``ZeroPad1d((left, right))`` is ``ZeroPad(((left, right),))``.)

    Raises
    ------
    ValueError
        Where the input has another number of axes, or nothing is left of it.
    TypeError
        If a number is no integer.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.ZeroPad(((2, 1),))).predict([[[5.0], [6.0]]])[0, :, 0]
    array([0., 0., 5., 6., 0.], dtype=float32)
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = {"padding": _padding}
    padding: int | Sequence[int | Sequence[int]]

    def __repr__(self) -> str:
        return short_repr(self, "padding")

    def ends(self, shape: PartialShape) -> Pairs:
        """Return how many zeros come before and behind each axis."""
        axes = check_axes(shape, self.padding)
        each = (self.padding,) * axes if isinstance(self.padding, int) else self.padding
        return tuple((own, own) if isinstance(own, int) else (own[0], own[1]) for own in each)

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        padded = []
        for n, own in zip(shape, self.ends(shape), strict=False):
            if isinstance(n, int) and min(own) < 0 and n + min(*own, sum(own)) < 1:
                raise ValueError(
                    f"pads by {own[0]} and {own[1]} at the ends, which leaves nothing of {n}"
                )
            padded.append(scaled(n, more=sum(own)))
        return (*padded, shape[-1])

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        before = pair([own[0] for own in self.ends(x.shape)], 0)
        shape = self.output_shape(x.shape)
        return apply_to_images(plan, "zero_pad", x, shape, {"before": before})


@dataclass(frozen=True, repr=False)
class Upsample(Layer):
    """Repeats each pixel of an image, or each element of a signal (nearest neighbour).

    Shapes: input ``(n, height, width, channels)`` or ``(n, length, channels)``, output the same
    with axes that are ``scale_factor`` times as long.

    Parameters
    ----------
    scale_factor : int, or tuple with an int for each axis
        How often each is repeated, at least 1.

    Raises
    ------
    ValueError
        If a number is less than 1; where the input has another number of axes.
    TypeError
        If it is no integer.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.Upsample(2)).predict([[[5.0], [6.0]]])[0, :, 0]
    array([5., 5., 6., 6.], dtype=float32)
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = {"scale_factor": lengths(None, least=1)}
    scale_factor: int | Sequence[int]

    def __repr__(self) -> str:
        return short_repr(self, "scale_factor")

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        factors = for_each_axis(self.scale_factor, check_axes(shape, self.scale_factor))
        longer = (scaled(n, times=factor) for n, factor in zip(shape, factors, strict=False))
        return (*longer, shape[-1])

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        block = pair(for_each_axis(self.scale_factor, len(x.shape) - 1), 1)
        window = (*block, *block, 0.0, 0.0, 1.0, 1.0)  # blocks lie side by side
        shape = self.output_shape(x.shape)
        return apply_to_images(plan, "upsample", x, shape, {"window": window})
