"""Pooling: each window of a signal or an image becomes one number, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from chainrule.layers import windows
from chainrule.layers.layer import DoesNotFit, Layer, short_repr
from chainrule.layers.lengths import PartialShape, known, product
from chainrule.layers.windows import apply_to_images, for_each_axis, lengths
from chainrule.operations.operation import Numbers, Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import Check, flag, optional
from chainrule.utils.wording import possessive

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "MaxPool1d",
    "MaxPool2d",
]


MOST_PLACES = 1 << 24  # in a window, whose length float32 must hold
MOST_CHANNELS = 4  # of images as they are recorded


def _checks(axes: int, *more: str) -> dict[str, Check]:
    checks: dict[str, Check] = {
        "kernel_size": lengths(axes, least=1),
        "stride": optional(lengths(axes, least=1)),
        "padding": lengths(axes, least=0),
        "dilation": lengths(axes, least=1),
        "ceil_mode": flag,
        "count_include_pad": flag,
    }
    return {name: checks[name] for name in ("kernel_size", "stride", "padding", *more)}


@dataclass(frozen=True, repr=False)
class _Pooling(Layer):
    """What layers with windows of a given size have in common."""

    axes: ClassVar[int]
    kernel_size: int | Sequence[int]
    stride: int | Sequence[int] | None = None
    padding: int | Sequence[int] = 0

    def check_numbers(self, dtype: Any = None) -> None:
        super().check_numbers(dtype)
        kernel_size, _, padding, _ = self._along_axes()
        for axis, own, size in zip(windows.AXES[self.axes], padding, kernel_size, strict=True):
            if 2 * own > size:
                raise ValueError(
                    f"{possessive(type(self).__name__)} padding of the {axis} must be at most "
                    f"{size // 2}, half of the kernel_size ({size}), not {own}."
                )

    def __repr__(self) -> str:
        return short_repr(self, "kernel_size")

    def _along_axes(self) -> list[tuple[int, ...]]:
        """Return kernel_size, stride, padding and dilation, each with a number for each axis."""
        stride = self.kernel_size if self.stride is None else self.stride
        values = self.kernel_size, stride, self.padding, getattr(self, "dilation", 1)
        return [for_each_axis(value, self.axes) for value in values]

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        windows.check_input(shape, self.axes)
        kernel_size, stride, padding, dilation = self._along_axes()
        both_ends = [2 * own for own in padding]
        ceil_mode = getattr(self, "ceil_mode", False)
        try:
            outputs = windows.output_lengths(
                shape[:-1], kernel_size, stride, both_ends, dilation, ceil_mode=ceil_mode
            )
        except ValueError as error:
            raise DoesNotFit(str(error), _remedy(shape, self.axes)) from None
        for length, own, step in zip(shape, padding, dilation, strict=False):
            if isinstance(length, int) and any(first % step >= length for first in range(-own, 0)):
                raise ValueError(
                    f"has windows of padding alone: with a dilation of {step} and a padding of "
                    f"{own}, they miss an axis of {length}"
                )
        return (*outputs, shape[-1])


def _remedy(shape: PartialShape, axes: int) -> str:
    """Return what may be wrong where windows do not fit: channels first, of which there are few."""
    channels, *places = known(shape) or (MOST_CHANNELS + 1,)
    is_first = channels <= MOST_CHANNELS and channels < min(places)
    return windows.CHANNELS_LAST[axes] if is_first else ""


@dataclass(frozen=True, repr=False)
class _MaxPooling(_Pooling):
    dilation: int | Sequence[int] = 1
    ceil_mode: bool = False

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return _pool(plan, "max_pool", x, self.output_shape(x.shape), self._along_axes())


@dataclass(frozen=True, repr=False)
class _AvgPooling(_Pooling):
    ceil_mode: bool = False
    count_include_pad: bool = True

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        counts = {"count_include_pad": int(self.count_include_pad)}
        return _pool(plan, "avg_pool", x, self.output_shape(x.shape), self._along_axes(), counts)


def _pool(
    plan: PlanBuilder,
    operation: str,
    x: Tensor,
    shape: Shape,
    window: Sequence[Sequence[int]],
    numbers: Numbers | None = None,
) -> Tensor:
    """Append a step; ``window`` has kernel_size, stride, padding and dilation along each axis."""
    given = {"window": windows.window_of(*window), **(numbers or {})}
    return apply_to_images(plan, operation, x, shape, given)


@dataclass(frozen=True, repr=False)
class MaxPool1d(_MaxPooling):
    """Max pooling of signals: the largest number of each window, channel by channel.

    Padding is never the largest number. Where several are the largest, the first one gets the
    gradient. A NaN counts as larger than all numbers.

    Shapes: input ``(n, length, channels)``, output ``(n, windows, channels)``, with ``windows =
    (length + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``.

    Parameters
    ----------
    kernel_size : int
        The length of a window, at least 1. This and the other lengths may be a tuple of one.
    stride : int, optional
        The distance between the beginnings of two windows; by default the kernel_size.
    padding : int
        How many elements are added at both ends, at most half of the kernel_size.
    dilation : int
        The distance between two elements of a window, at least 1.
    ceil_mode : bool
        Whether the number of windows is rounded up: the last one may extend beyond the padding.

    Raises
    ------
    ValueError
        If a number is out of range; where a window does not fit into the padded signal.
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> signal = np.array([3.0, 1.0, 2.0, 5.0, 4.0]).reshape(1, 5, 1)
    >>> cr.Sequential(cr.MaxPool1d(2)).predict(signal)[0, :, 0]
    array([3., 5.], dtype=float32)
    >>> cr.Sequential(cr.MaxPool1d(2, ceil_mode=True)).predict(signal)[0, :, 0]
    array([3., 5., 4.], dtype=float32)
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = _checks(1, "dilation", "ceil_mode")


@dataclass(frozen=True, repr=False)
class MaxPool2d(_MaxPooling):
    """Max pooling of images: the largest number of each window, channel by channel.

    It does along height and width what :class:`MaxPool1d` does along one axis. Each length is a
    number for both axes, or a tuple with one for each.

    Shapes: input ``(n, height, width, channels)``, output ``(n, rows, columns, channels)``.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int, or tuple of two
        See :class:`MaxPool1d`.
    ceil_mode : bool
        Whether the number of windows is rounded up.

    Raises
    ------
    ValueError
        If a number is out of range; where a window does not fit into the padded image.
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> cr.Sequential(cr.MaxPool2d(2)).predict(image)[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    axes: ClassVar[int] = 2
    number_checks: ClassVar = _checks(2, "dilation", "ceil_mode")


@dataclass(frozen=True, repr=False)
class AvgPool1d(_AvgPooling):
    """Average pooling of signals: the mean of each window, channel by channel.

    Shapes: input ``(n, length, channels)``, output ``(n, windows, channels)``, with ``windows =
    (length + 2 * padding - kernel_size) // stride + 1``.

    Parameters
    ----------
    kernel_size : int
        The length of a window, at least 1. This and the other lengths may be a tuple of one.
    stride : int, optional
        The distance between the beginnings of two windows; by default the kernel_size.
    padding : int
        How many zeros are added at both ends, at most half of the kernel_size.
    ceil_mode : bool
        Whether the number of windows is rounded up: the last one may extend beyond the padding. Its
        mean is that of the elements up to there.
    count_include_pad : bool
        Whether the zeros of the padding count in the means.

    Raises
    ------
    ValueError
        If a number is out of range; where a window does not fit into the padded signal.
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> signal = np.array([3.0, 1.0, 2.0, 6.0]).reshape(1, 4, 1)
    >>> cr.Sequential(cr.AvgPool1d(2)).predict(signal)[0, :, 0]
    array([2., 4.], dtype=float32)
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = _checks(1, "ceil_mode", "count_include_pad")


@dataclass(frozen=True, repr=False)
class AvgPool2d(_AvgPooling):
    """Average pooling of images: the mean of each window, channel by channel.

    It does along height and width what :class:`AvgPool1d` does along one axis. Each length is a
    number for both axes, or a tuple with one for each.

    Shapes: input ``(n, height, width, channels)``, output ``(n, rows, columns, channels)``.

    Parameters
    ----------
    kernel_size, stride, padding : int, or tuple of two
        See :class:`AvgPool1d`.
    ceil_mode, count_include_pad : bool
        See :class:`AvgPool1d`.

    Raises
    ------
    ValueError
        If a number is out of range; where a window does not fit into the padded image.
    TypeError
        If an argument is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> image = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> cr.Sequential(cr.AvgPool2d(2)).predict(image)[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """

    axes: ClassVar[int] = 2
    number_checks: ClassVar = _checks(2, "ceil_mode", "count_include_pad")


@dataclass(frozen=True)
class _GlobalPooling(Layer):
    """One window with all places of a signal or an image."""

    axes: ClassVar[int] = 1
    operation: ClassVar[str]
    numbers: ClassVar[Numbers] = {}

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if len(shape) < 2:
            raise ValueError("expects at least one axis before the channels, which come last")
        places = product(shape[:-1])
        if isinstance(places, int) and places > MOST_PLACES:
            raise ValueError(f"expects at most {MOST_PLACES:,} places")
        return shape[-1:]

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        *places, channels = x.shape
        signal = plan.reshape(x, (prod(places), channels))
        window = [(prod(places),), (1,), (0,), (1,)]
        y = _pool(plan, self.operation, signal, (1, channels), window, self.numbers)
        return plan.reshape(y, (channels,))


@dataclass(frozen=True)
class GlobalMaxPool(_GlobalPooling):
    """Global max pooling: the largest number of each channel over all places.

    Images or signals of any size become vectors of one length.

    Shapes: input ``(n, *, channels)`` with at least one axis between batch and channels, output
    ``(n, channels)``.

    Raises
    ------
    ValueError
        When a network is built or used, if there is no axis between batch and channels.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.GlobalMaxPool()).predict([[[1.0, 8.0], [3.0, 4.0]]])
    array([[3., 8.]], dtype=float32)
    """

    operation: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class GlobalAvgPool(_GlobalPooling):
    """Global average pooling: the mean of each channel over all places.

    Images or signals of any size become vectors of one length.

    Shapes: input ``(n, *, channels)`` with at least one axis between batch and channels, output
    ``(n, channels)``.

    Raises
    ------
    ValueError
        When a network is built or used, if there is no axis between batch and channels.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.GlobalAvgPool()).predict([[[1.0, 8.0], [3.0, 4.0]]])
    array([[2., 6.]], dtype=float32)
    """

    operation: ClassVar[str] = "avg_pool"
    numbers: ClassVar[Numbers] = {"count_include_pad": 1}
