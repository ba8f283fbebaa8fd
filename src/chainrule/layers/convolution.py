"""Convolutions of signals and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from chainrule.layers.initializers import Initializer, KaimingUniform, UniformByFanIn
from chainrule.layers.layer import Layer, Parameter, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.layers.windows import (
    apply_to_images,
    check_input,
    for_each_axis,
    lengths,
    output_lengths,
    window_of,
)
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import Check, flag, integer
from chainrule.utils.wording import possessive

__all__ = ["Conv1d", "Conv2d"]

Lengths = int | Sequence[int]
BY_NAME = "same", "valid"  # paddings


def _at_least_one(value: Any, name: str, dtype: np.dtype | None = None) -> int:
    return integer(value, name, least=1)


def _padding(axes: int) -> Check:
    """Return the check of a padding, which may be a name."""
    numbers = lengths(axes, least=0)

    def checked(value: Any, name: str, dtype: np.dtype | None = None) -> Any:
        if isinstance(value, str) and value not in BY_NAME:
            raise ValueError(f"{name} must be 'same', 'valid' or numbers, not {value!r}.")
        return value if isinstance(value, str) else numbers(value, name, dtype)

    return checked


def checks_of(axes: int) -> dict[str, Check]:
    return {
        **dict.fromkeys(("in_channels", "out_channels", "groups"), _at_least_one),
        **dict.fromkeys(("kernel_size", "stride", "dilation"), lengths(axes, least=1)),
        "padding": _padding(axes),
        "bias": flag,
    }


@dataclass(frozen=True, repr=False)
class Windowed(Layer):
    """What convolutions and transposed ones have in common: windows, a weight and a bias."""

    axes: ClassVar[int]
    operation: ClassVar[str]
    in_channels: int
    out_channels: int
    kernel_size: Lengths
    stride: Lengths = 1
    padding: Lengths | str = 0

    def __repr__(self) -> str:
        return short_repr(self, "in_channels", "out_channels", "kernel_size")

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        name, groups = type(self).__name__, self._option("groups")
        for channels in ("in_channels", "out_channels"):
            if getattr(self, channels) % groups:
                raise ValueError(
                    f"{possessive(name)} {channels} must be a multiple of groups, {groups}, not "
                    f"{getattr(self, channels)}."
                )
        for initializer in ("weight_init", "bias_init"):
            if not isinstance(self._option(initializer), Initializer):
                raise TypeError(
                    f"{possessive(name)} {initializer} must be an initializer such as "
                    f"cr.initializers.Zeros(), not {self._option(initializer)!r}."
                )

    def _option(self, name: str) -> Any:
        """Return an argument that subclasses have, in different orders."""
        return getattr(self, name)

    def along_axes(self, *names: str) -> list[tuple[int, ...]]:
        """Return arguments, each with a number for each axis."""
        return [for_each_axis(self._option(name), self.axes) for name in names]

    def _operation(self) -> str:
        """Return the name of the operation that computes it."""
        return self.operation

    @property
    def last_length(self) -> int:
        return self.in_channels

    def paddings(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the padding before each axis, and that behind it."""
        assert not isinstance(self.padding, str)
        own = for_each_axis(self.padding, self.axes)
        return own, own

    def _parameters(self, of_group: int, outputs: int) -> dict[str, Parameter]:
        """Return the weight of a convolution from ``of_group`` channels, and the bias."""
        (kernel,) = self.along_axes("kernel_size")
        shape = *kernel, of_group, outputs
        axes = self.axes + 1, self.axes, *range(self.axes)
        fan_in = prod(shape[:-1])
        parameters = {"weight": Parameter(shape, self._option("weight_init"), fan_in, axes)}
        if self._option("bias"):
            bias = Parameter((self.out_channels,), self._option("bias_init"), fan_in)
            parameters["bias"] = bias
        return parameters

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        shape, parameters = self.output_shape(x.shape), self.parameters()
        weight = parameters["weight"].shape
        uses = {"weight": plan.parameter("weight", (prod(weight[:-1]), weight[-1]))}
        if "bias" in parameters:
            uses["bias"] = plan.parameter("bias", parameters["bias"].shape)
        kernel, stride, dilation = self.along_axes("kernel_size", "stride", "dilation")
        window = window_of(kernel, stride, self.paddings()[0], dilation)
        numbers = {"window": (*window, float(self._option("groups")))}
        return apply_to_images(plan, self._operation(), x, shape, numbers, uses)


@dataclass(frozen=True, repr=False)
class _Convolution(Windowed):
    operation: ClassVar[str] = "convolution"
    dilation: Lengths = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = KaimingUniform(a=5**0.5)
    bias_init: Initializer = UniformByFanIn()

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        if self.padding == "same" and max(for_each_axis(self.stride, self.axes)) > 1:
            raise ValueError(
                f"{possessive(type(self).__name__)} padding can be 'same' with a stride of 1 "
                f"only, not {self.stride}."
            )

    def _operation(self) -> str:
        is_depthwise = self.in_channels == self.out_channels == self.groups > 1
        return "depthwise_convolution" if is_depthwise else self.operation

    def paddings(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if not isinstance(self.padding, str):
            return super().paddings()
        kernel, dilation = self.along_axes("kernel_size", "dilation")
        if self.padding == "valid":
            return (0,) * self.axes, (0,) * self.axes
        both = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple(n // 2 for n in both), tuple(n - n // 2 for n in both)

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        check_input(shape, self.axes, self.in_channels)
        kernel, stride, dilation = self.along_axes("kernel_size", "stride", "dilation")
        both = [sum(ends) for ends in zip(*self.paddings(), strict=True)]
        counts = output_lengths(shape[:-1], kernel, stride, both, dilation)
        return *counts, self.out_channels

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters(self.in_channels // self.groups, self.out_channels)


@dataclass(frozen=True, repr=False)
class Conv1d(_Convolution):
    """Convolution of signals: each window times the weight, summed up, plus the bias.

    ``y[t, o] = sum over k, c of x[stride * t + dilation * k - padding, c] * weight[k, c, o] +
    bias[o]``, with zeros outside of the signal.

    Shapes: input ``(n, length, in_channels)``, output ``(n, windows, out_channels)``, with
    ``windows = (length + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``; weight
    ``(kernel_size, in_channels / groups, out_channels)``, bias ``(out_channels,)``. (In PyTorch,
    channels come first, and the weight's axes are in the opposite order.)

    Parameters
    ----------
    in_channels, out_channels : int
        Lengths of the last axis of input and output, both at least 1.
    kernel_size : int
        The length of a window, at least 1. This and the other lengths may be a
        tuple of one.
    stride : int
        The distance between the beginnings of two windows, at least 1.
    padding : int, "same" or "valid"
        How many zeros are added at both ends of the signal. "valid" adds none; "same" adds as many
        as make the output as long as the input, one more at the end if their number is odd. "same"
        needs a stride of 1.
    dilation : int
        The distance between two elements of a window, at least 1.
    groups : int
        The number of groups into which the channels are divided; an output channel depends on the
        input channels of its group only. It must divide both numbers of channels. With as many
        groups as input channels, each channel has filters of its own (a depthwise convolution).
    bias : bool
        Whether there is a bias.
    weight_init, bias_init : Initializer, optional
        The initializers of weight and bias; by default as in PyTorch, uniform within ``1 /
        sqrt(fan_in)``, where ``fan_in`` is the number of products that an output sums up.

    Raises
    ------
    ValueError
        If an argument is out of range; when a network is built or used, if the last axis of the
        input has not ``in_channels`` elements, or a window is longer than the padded input.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Conv1d(1, 1, 2, bias=False), dtype="float64")
    >>> net.params = [-1.0, 1.0]  # differences of neighbours
    >>> net.predict([[[1.0], [4.0], [9.0], [16.0]]]).ravel()
    array([3., 5., 7.])
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = checks_of(1)


@dataclass(frozen=True, repr=False)
class Conv2d(_Convolution):
    """Convolution of images: each window times the weight, summed up, plus the bias.

    ``y[i, j, o] = sum over a, b, c of x[stride * i + dilation * a - padding, stride * j + dilation
    * b - padding, c] * weight[a, b, c, o] + bias[o]``, with zeros outside of the image.

    Shapes: input ``(n, height, width, in_channels)``, output ``(n, rows, columns, out_channels)``,
    where ``rows = (height + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``, and
    columns likewise; weight ``(kernel height, kernel width, in_channels / groups, out_channels)``,
    bias ``(out_channels,)``. (In PyTorch, channels come first: ``(n, in_channels, height, width)``,
    with a weight ``(out_channels, in_channels / groups, kernel height, kernel width)``.)

    Parameters
    ----------
    in_channels, out_channels : int
        Lengths of the last axis of input and output, both at least 1.
    kernel_size : int or tuple of two
        The height and width of a window, at least 1. A tuple has a number for each axis, here and
        below.
    stride : int or tuple of two
        The distance between the beginnings of two windows, at least 1.
    padding : int or tuple of two, "same" or "valid"
        How many zeros are added at both ends of each axis. "valid" adds none; "same" adds as many
        as make the output as long as the input, one more at the end if their number is odd. "same"
        needs a stride of 1.
    dilation : int or tuple of two
        The distance between two elements of a window, at least 1.
    groups : int
        The number of groups into which the channels are divided; an output channel depends on the
        input channels of its group only. It must divide both numbers of channels. With as many
        groups as input channels, each channel has filters of its own (a depthwise convolution).
    bias : bool
        Whether there is a bias.
    weight_init, bias_init : Initializer, optional
        The initializers of weight and bias; by default as in PyTorch, uniform within ``1 /
        sqrt(fan_in)``, where ``fan_in`` is the number of products that an output sums up.

    Raises
    ------
    ValueError
        If an argument is out of range; when a network is built or used, if the last axis of the
        input has not ``in_channels`` elements, or a window is longer than the padded input.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    With few output channels, neighbouring outputs are computed together, as a wider window whose
    weight has zeros in between. So where an input is infinite, the outputs of neighbouring windows
    may become NaN, too.

    References
    ----------
    Dukhan, *The Indirect Convolution Algorithm*, arXiv:1907.02129, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Conv2d(1, 6, 5, padding=2), cr.ReLU(), seed=0)
    >>> net.predict(np.zeros((3, 28, 28, 1))).shape
    (3, 28, 28, 6)
    >>> net.predict(np.zeros((3, 1, 28, 28)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: Conv2d(1, 6, 5, padding=2) (layer 0) expects shape (n, height, width, 1), but ...
    """

    axes: ClassVar[int] = 2
    number_checks: ClassVar = checks_of(2)
