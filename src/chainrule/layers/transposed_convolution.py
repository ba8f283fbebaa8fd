"""Transposed convolutions of signals and images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.layers.convolution import Lengths, Windowed, checks_of
from chainrule.layers.initializers import Initializer, KaimingUniform, UniformByFanIn
from chainrule.layers.layer import Parameter
from chainrule.layers.lengths import PartialShape, scaled
from chainrule.layers.windows import AXES, check_input, lengths
from chainrule.utils.arguments import Check
from chainrule.utils.wording import possessive

__all__ = ["ConvTranspose1d", "ConvTranspose2d"]


@dataclass(frozen=True, repr=False)
class _ConvTranspose(Windowed):
    operation: ClassVar[str] = "transposed_convolution"
    output_padding: Lengths = 0
    groups: int = 1
    bias: bool = True
    dilation: Lengths = 1
    weight_init: Initializer = KaimingUniform(a=5**0.5)
    bias_init: Initializer = UniformByFanIn()

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        values = self.along_axes("output_padding", "stride", "dilation")
        for axis, more, stride, dilation in zip(AXES[self.axes], *values, strict=True):
            if more >= max(stride, dilation):
                raise ValueError(
                    f"{possessive(type(self).__name__)} output_padding of the {axis} must be at "
                    f"most {max(stride, dilation) - 1}, less than the larger of stride ({stride}) "
                    f"and dilation ({dilation}), not {more}."
                )

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        check_input(shape, self.axes, self.in_channels)
        names = "kernel_size", "stride", "padding", "dilation", "output_padding"
        outputs = []
        for n, k, s, p, d, more in zip(shape[:-1], *self.along_axes(*names), strict=True):
            length = scaled(n, times=s, more=d * (k - 1) + 1 + more - s - 2 * p)
            if isinstance(length, int) and length < 1:
                raise ValueError(
                    f"has no output: its windows cover {length + 2 * p} places, of which the "
                    f"padding cuts off {p} at both ends"
                )
            outputs.append(length)
        return *outputs, self.out_channels

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters(self.out_channels // self.groups, self.in_channels)


def _checks(axes: int) -> dict[str, Check]:
    from_zero = lengths(axes, least=0)
    return checks_of(axes) | {"padding": from_zero, "output_padding": from_zero}


@dataclass(frozen=True, repr=False)
class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of signals: each element times the weight is a window of outputs.

    Where windows overlap, they are added up; then the bias is added. This is how the gradient by
    the input of :class:`Conv1d` is computed: a convolution with a stride makes a signal shorter, a
    transposed one makes it longer.

    Shapes: input ``(n, length, in_channels)``, output ``(n, longer, out_channels)``, with ``longer
    = (length - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``;
    weight ``(kernel_size, out_channels / groups, in_channels)``, as of the convolution in the
    other direction; bias ``(out_channels,)``.

    Parameters
    ----------
    in_channels, out_channels : int
        Lengths of the last axis of input and output, both at least 1.
    kernel_size : int
        The length of a window, at least 1. This and the other lengths may be a
        tuple of one.
    stride : int
        The distance between the beginnings of two windows in the output, at least 1.
    padding : int
        How many elements are cut off at both ends of the output.
    output_padding : int
        How many elements longer the output is at its end; less than stride or dilation.
    groups : int
        The number of groups into which the channels are divided; it must divide both numbers.
    bias : bool
        Whether there is a bias.
    dilation : int
        The distance between two elements of a window, at least 1.
    weight_init, bias_init : Initializer, optional
        The initializers of weight and bias; by default as in PyTorch, uniform within ``1 /
        sqrt(kernel_size * out_channels / groups)``.

    Raises
    ------
    ValueError
        If an argument is out of range; when a network is built or used, if the last axis of the
        input has not ``in_channels`` elements, or no output is left.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.ConvTranspose1d(1, 1, 2, stride=2, bias=False), dtype="float64")
    >>> net.params = [1.0, 10.0]
    >>> net.predict([[[1.0], [2.0], [3.0]]]).ravel()
    array([ 1., 10.,  2., 20.,  3., 30.])
    """

    axes: ClassVar[int] = 1
    number_checks: ClassVar = _checks(1)


@dataclass(frozen=True, repr=False)
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images: each pixel times the weight is a window of outputs.

    Where windows overlap, they are added up; then the bias is added. This is how the gradient by
    the input of :class:`Conv2d` is computed: a convolution with a stride makes an image smaller, a
    transposed one makes it larger.

    Shapes: input ``(n, height, width, in_channels)``, output ``(n, rows, columns, out_channels)``,
    with ``rows = (height - 1) * stride - 2 * padding + dilation * (kernel_size - 1) +
    output_padding + 1``, and columns likewise; weight ``(kernel height, kernel width, out_channels
    / groups, in_channels)``, as of the convolution in the other direction; bias
    ``(out_channels,)``.

    Parameters
    ----------
    in_channels, out_channels : int
        Lengths of the last axis of input and output, both at least 1.
    kernel_size : int or tuple of two
        The height and width of a window, at least 1. A tuple has a number for each axis, here and
        below.
    stride : int or tuple of two
        The distance between the beginnings of two windows in the output, at least 1.
    padding : int or tuple of two
        How many pixels are cut off at both ends of each axis of the output.
    output_padding : int or tuple of two
        How many elements longer the output is at its end; less than stride or dilation.
    groups : int
        The number of groups into which the channels are divided; it must divide both numbers.
    bias : bool
        Whether there is a bias.
    dilation : int or tuple of two
        The distance between two elements of a window, at least 1.
    weight_init, bias_init : Initializer, optional
        The initializers of weight and bias; by default as in PyTorch, uniform within ``1 /
        sqrt(kernel height * kernel width * out_channels / groups)``.

    Raises
    ------
    ValueError
        If an argument is out of range; when a network is built or used, if the last axis of the
        input has not ``in_channels`` elements, or no output is left.
    TypeError
        If an argument has the wrong type.

    References
    ----------
    Dumoulin and Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285,
    2016.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.ConvTranspose2d(8, 3, 4, stride=2, padding=1), seed=0)
    >>> net.predict(np.zeros((5, 16, 16, 8))).shape
    (5, 32, 32, 3)
    """

    axes: ClassVar[int] = 2
    number_checks: ClassVar = _checks(2)
