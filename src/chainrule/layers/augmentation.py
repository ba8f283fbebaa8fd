"""Layers that change images at random in training: shifted, flipped, cropped.

As in dropout, what is drawn follows from the seed and the number of the step, not from threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.layers.layer import Layer, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.layers.windows import apply_to_images, check_axes, for_each_axis, lengths, pair
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import choice, fraction

__all__ = ["RandomCrop", "RandomFlip", "RandomShift"]

MODES = {"horizontal": (0, 1), "vertical": (1, 0), "horizontal_and_vertical": (1, 1)}


def _mode(value: Any, name: str, dtype: np.dtype | None = None) -> str:
    return choice(value, name, tuple(MODES))


def _draw(
    plan: PlanBuilder,
    x: Tensor,
    shape: Shape,
    lowest: Sequence[int],
    highest: Sequence[int],
    p: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Append the parts of images that begin from ``lowest`` to ``highest``, flipped or not."""
    numbers = {
        "lowest": pair(lowest, 0),
        "highest": pair(highest, 0),
        "p": p,
        "number": plan.next_draw(),
    }
    return apply_to_images(plan, "random_crop", x, shape, numbers)


@dataclass(frozen=True, repr=False)
class RandomShift(Layer):
    """Shift each image, or signal, by whole pixels at random in training; zeros come in.

    Each row has a shift of its own, in the steps of :func:`fit`, and in ``net.forward`` as long as
    ``net.training`` is True. Everywhere else, the output is the input. What is drawn follows from
    the same seeds as the masks of :class:`Dropout`.

    Shapes: input ``(n, height, width, channels)`` or ``(n, length, channels)``, output the same.

    Parameters
    ----------
    shift : int, or tuple with an int for each axis
        The largest shift, in both directions; all shifts up to it are equally probable. It must be
        less than the length of the axis. (Keras' ``RandomTranslation`` and torchvision's
        ``RandomAffine`` take fractions of the length.)

    Raises
    ------
    ValueError
        If a number is below 0; where the input has another number of axes, or is too small.
    TypeError
        If it is no integer.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.RandomShift(1), seed=0)
    >>> signals = np.ones((2, 3, 1))
    >>> net.forward(signals)[:, :, 0]
    array([[0., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    >>> net.predict(signals)[:, :, 0]
    array([[1., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    """

    differs_in_training: ClassVar[bool] = True
    axes: ClassVar[int] = 1
    number_checks: ClassVar = {"shift": lengths(None, least=0)}
    shift: int | Sequence[int]

    def __repr__(self) -> str:
        return short_repr(self, "shift")

    def _farthest(self, shape: PartialShape) -> tuple[int, ...]:
        return for_each_axis(self.shift, check_axes(shape, self.shift))

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        for length, farthest in zip(shape, self._farthest(shape), strict=False):
            if isinstance(length, int) and farthest >= length:
                raise ValueError(f"shifts by up to {farthest}, which leaves nothing of {length}")
        return shape

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        farthest = self._farthest(x.shape)
        if not plan.training:
            return x
        return _draw(plan, x, x.shape, [-n for n in farthest], farthest)


@dataclass(frozen=True)
class RandomFlip(Layer):
    """Flip each image, or signal, with probability p in training.

    It flips where :class:`RandomShift` shifts, and draws from the same seeds.

    Shapes: input ``(n, height, width, channels)`` or ``(n, length, channels)``, output the same.

    Parameters
    ----------
    mode : {"horizontal", "vertical", "horizontal_and_vertical"}
        "horizontal" exchanges left and right, as a mirror does, and "vertical" top and bottom; with
        both, each is drawn independently. "horizontal" reverses a signal.
    p : float
        The probability, from 0 to 1.

    Raises
    ------
    ValueError
        If there is no such mode, or p is out of range; where a signal is flipped vertically.
    TypeError
        If p is no number.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.RandomFlip(p=1.0), seed=0)
    >>> net.forward([[[1.0], [2.0], [3.0]]])[0, :, 0]
    array([3., 2., 1.], dtype=float32)
    """

    differs_in_training: ClassVar[bool] = True
    axes: ClassVar[int] = 1
    number_checks: ClassVar = {"mode": _mode, "p": fraction}
    mode: str = "horizontal"
    p: float = 0.5

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if check_axes(shape) == 1 and MODES[self.mode][0]:
            raise ValueError("flips height, which a signal does not have: mode='horizontal'")
        return shape

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        if not plan.training:
            return x
        rows, columns = MODES[self.mode]
        nowhere = [0] * (len(x.shape) - 1)
        return _draw(plan, x, x.shape, nowhere, nowhere, (rows * self.p, columns * self.p))


@dataclass(frozen=True, repr=False)
class RandomCrop(Layer):
    """A part of each image, or signal, at a random place in training, else in the middle.

    The place is random where :class:`RandomShift` shifts, and drawn from the same seeds. The part
    in the middle begins at ``(length - size) // 2``.

    Shapes: input ``(n, height, width, channels)`` or ``(n, length, channels)``, output the same
    with axes of length ``size``.

    Parameters
    ----------
    size : int, or tuple with an int for each axis
        The length of the part, at least 1.
    padding : int, or tuple with an int for each axis
        How many zeros are added at both ends before a random part is chosen.

    Raises
    ------
    ValueError
        If a number is out of range; where the input has another number of axes, or is too small.
    TypeError
        If it is no integer.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.RandomCrop(2), seed=0)
    >>> signals = np.arange(8.0).reshape(2, 4, 1)
    >>> net.forward(signals)[:, :, 0]
    array([[0., 1.],
           [5., 6.]], dtype=float32)
    >>> net.predict(signals)[:, :, 0]
    array([[1., 2.],
           [5., 6.]], dtype=float32)
    """

    differs_in_training: ClassVar[bool] = True
    axes: ClassVar[int] = 1
    number_checks: ClassVar = {
        "size": lengths(None, least=1),
        "padding": lengths(None, least=0),
    }
    size: int | Sequence[int]
    padding: int | Sequence[int] = 0

    def __repr__(self) -> str:
        return short_repr(self, "size")

    def _along_axes(self, shape: PartialShape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        axes = check_axes(shape, self.size, self.padding)
        return for_each_axis(self.size, axes), for_each_axis(self.padding, axes)

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        sizes, paddings = self._along_axes(shape)
        for length, size, padding in zip(shape, sizes, paddings, strict=False):
            if isinstance(length, int) and size > length + 2 * padding:
                padded = f" with a padding of {padding} at both ends" if padding else ""
                raise ValueError(f"has size {size}, which does not fit into {length}{padded}")
        return (*sizes, shape[-1])

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        sizes, paddings = self._along_axes(x.shape)
        shape = self.output_shape(x.shape)
        rest = [n - size for n, size in zip(x.shape, sizes, strict=False)]
        if plan.training:
            highest = [n + own for n, own in zip(rest, paddings, strict=True)]
            return _draw(plan, x, shape, [-own for own in paddings], highest)
        if not any(rest):
            return x
        before = pair([-(n // 2) for n in rest], 0)
        return apply_to_images(plan, "zero_pad", x, shape, {"before": before})
