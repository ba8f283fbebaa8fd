"""Convolutions of signals and images."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from chainrule.layers.initializers import Initializer, KaimingUniform, UniformByFanIn
from chainrule.layers.layer import Layer, Parameter
from chainrule.layers.windows import check_input, for_each_axis, lengths, output_lengths
from chainrule.operations.operation import ParameterUse, Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import flag, integer

__all__ = ["Conv2d"]


@dataclass(frozen=True)
class Conv2d(Layer):
    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    axes: ClassVar[int] = 2
    by_last_axis: ClassVar[bool] = False

    def _pads(self):
        k, d = (for_each_axis(v, self.axes) for v in (self.kernel_size, self.dilation))
        if self.padding == "valid": return (0,)*self.axes, (0,)*self.axes
        if self.padding == "same":
            t=[b*(a-1) for a,b in zip(k,d)]
            return tuple(v//2 for v in t), tuple(t)
        p = for_each_axis(self.padding, self.axes)
        return p, tuple(2*v for v in p)

    def output_shape(self, input_shape: Shape) -> Shape:
        check_input(input_shape, self.axes, self.in_channels)
        k, s, d = (for_each_axis(v, self.axes) for v in (self.kernel_size, self.stride, self.dilation))
        return (*output_lengths(input_shape[:-1], k, s, self._pads()[1], d), self.out_channels)

    def parameters(self) -> dict[str, Parameter]:
        k = for_each_axis(self.kernel_size, self.axes)
        shape = (*k, self.in_channels // self.groups, self.out_channels)
        fan=prod(shape[:-1])
        weight = Parameter(shape, KaimingUniform(a=5**0.5), fan, torch_axes=(3,2,0,1))
        return {"weight": weight} | ({"bias": Parameter((self.out_channels,), UniformByFanIn(), fan)} if self.bias else {})

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        shape=self.output_shape(x.shape)
        k, s, d = (for_each_axis(v, self.axes) for v in (self.kernel_size, self.stride, self.dilation))
        before=self._pads()[0]
        kk=prod(k)*self.in_channels//self.groups
        uses={"weight": plan.parameter("weight", (kk, self.out_channels))}
        if self.bias: uses["bias"]=plan.parameter("bias",(self.out_channels,))
        window=tuple(map(float,(*k,*s,*d,*before,self.groups)))
        return plan.apply("convolution", x, shape=shape, parameters=uses, numbers={"window": window})
