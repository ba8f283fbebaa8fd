"""What layers have in common whose windows slide along signals and over images.

Data is channels last: signals ``(n, length, channels)``, images ``(n, height, width, channels)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.layers.layer import DoesNotFit
from chainrule.layers.lengths import Length, PartialShape, Unknown, scaled
from chainrule.operations.operation import Numbers, ParameterUse, Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import Check, integer, shortened

AXES = {1: ("length",), 2: ("height", "width")}  # before the channels
CHANNELS_LAST = {  # how to make them of channels first
    1: "channels come last, as {x}.transpose(0, 2, 1) puts them",
    2: "channels come last, as {x}.transpose(0, 2, 3, 1) puts them",
}
OTHER_CHANNELS: dict[tuple[Length, str], str] = {  # of images, from so many channels to so many
    (1, "3"): "{x}.repeat(3, axis=-1) has the one channel three times",
    (3, "1"): "{x}.mean(axis=-1, keepdims=True) makes one channel of three",
    (4, "3"): "{x}[..., :3] leaves out the fourth channel",
}


def lengths(axes: int | None, least: int) -> Check:
    """Return the check of a number for all axes, or of a tuple or list with one for each.

    Without ``axes``, there may be one or two, as of a layer for signals and images.

    >>> check = lengths(2, least=1)
    >>> check(3, "kernel_size", None), check([3, 5], "kernel_size", None)
    (3, (3, 5))
    """

    def checked(value: Any, name: str, dtype: np.dtype | None = None) -> int | tuple[int, ...]:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
            return integer(value, name, least=least)
        if len(value) not in (AXES if axes is None else (axes,)):
            one = f"an integer, or a tuple of {axes or '1 or 2'}"
            one = "an integer" if axes == 1 else one
            raise ValueError(f"{name} must be {one}, not {shortened(value)}.")
        return tuple(integer(n, f"{name}[{i}]", least=least) for i, n in enumerate(value))

    return checked


def for_each_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Return a number for each axis.

    >>> for_each_axis(3, 2), for_each_axis((3, 5), 2)
    ((3, 3), (3, 5))
    """
    return (value,) * axes if isinstance(value, int) else tuple(value)


def pair(values: Sequence[float], height: float) -> tuple[float, float]:
    """Return a number for rows and one for columns; ``height`` is that for a signal's only row.

    >>> pair([3], 0), pair([2, 3], 0)
    ((0.0, 3.0), (2.0, 3.0))
    """
    rows, columns = values if len(values) == 2 else (height, *values)
    return float(rows), float(columns)


def window_of(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> tuple[float, ...]:
    """Return, as operations take them, the numbers of windows along rows and columns."""
    pairs = pair(kernel, 1), pair(stride, 1), pair(padding, 0), pair(dilation, 1)
    return tuple(number for own in pairs for number in own)


def apply_to_images(
    plan: PlanBuilder,
    operation: str,
    x: Tensor,
    shape: Shape,
    numbers: Numbers,
    parameters: Mapping[str, ParameterUse] | None = None,
) -> Tensor:
    """Append a step on images; a signal is an image of height 1."""
    of_image, of_result = x.shape, shape
    if len(shape) == 2:
        of_image, of_result = (1, *x.shape), (1, *shape)
    image = plan.reshape(x, of_image)
    y = plan.apply(operation, image, shape=of_result, numbers=numbers, parameters=parameters)
    return plan.reshape(y, shape)


def check_axes(shape: PartialShape, *values: Any) -> int:
    """Return how many axes a signal or an image has before the channels.

    ValueError, naming what is expected, if it is neither, or one of the values is a tuple of
    another length.
    """
    axes = len(shape) - 1
    if axes not in AXES:
        both = " or ".join(f"(n, {', '.join(own)}, channels)" for own in AXES.values())
        raise ValueError(f"expects shape {both}")
    for value in values:
        if isinstance(value, tuple) and len(value) != axes:
            raise ValueError(f"has {value}, whose numbers are for {' and '.join(AXES[len(value)])}")
    return axes


def check_input(shape: PartialShape, axes: int, channels: int | None = None) -> None:
    """Raise ValueError, naming what is expected, unless a row is a signal, or an image."""
    if len(shape) == axes + 1 and channels in (None, shape[-1]):
        return
    last = "channels" if channels is None else str(channels)
    places = ", ".join(AXES[axes])
    remedy = ""
    if len(shape) == axes + 1:
        is_first = shape[0] == channels
        remedy = CHANNELS_LAST[axes] if is_first else OTHER_CHANNELS.get((shape[-1], last), "")
    elif len(shape) == axes and shape[-1] == channels:
        remedy = "{x}[np.newaxis] has an axis for the one row"
    elif len(shape) == axes and channels in (None, 1):
        remedy = "{x}[..., np.newaxis] has an axis for the one channel"
    elif len(shape) == 1 < axes:
        remedy = f"{{x}}.reshape(-1, {places}, {last}) makes images of flat rows"
        if channels in (None, 1):
            remedy += ", and {x}[np.newaxis, ..., np.newaxis] a batch of one image"
    raise DoesNotFit(f"expects shape (n, {places}, {last})", remedy)


def output_lengths(
    lengths: Sequence[Length],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    ceil_mode: bool = False,
) -> PartialShape:
    """Return how many windows there are along each axis.

    ``padding`` is what both ends of an axis get together. With ``ceil_mode``, the last window may
    end behind the padding, but begins before it, as in PyTorch; this needs the same padding at
    both ends.

    Raises
    ------
    ValueError
        If a window is longer than the padded axis; it names the numbers.

    Examples
    --------
    >>> output_lengths([28, 28], [5, 5], [1, 1], [4, 4], [1, 1])
    (28, 28)
    """
    counts: list[Length] = []
    for n, k, s, p, d in zip(lengths, kernel, stride, padding, dilation, strict=True):
        window = d * (k - 1) + 1
        count = scaled(n, more=p - window + s, by=s)
        if isinstance(n, int) and isinstance(count, int):
            if window > n + p:
                # With "same", which may pad one end by one more, all windows fit.
                padded = f" with a padding of {p // 2} at both ends" if p else ""
                raise ValueError(
                    f"has windows of length {window}, which do not fit into {n}{padded}"
                )
            if ceil_mode and (n + p - window) % s and count * s < n + p // 2:
                count += 1
        elif ceil_mode and isinstance(count, Unknown):
            count = Unknown(count.first)  # or one more
        counts.append(count)
    return tuple(counts)
