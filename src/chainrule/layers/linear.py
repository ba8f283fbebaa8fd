"""The linear layer."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.initializers import Initializer, KaimingUniform, UniformByFanIn
from chainrule.layers.layer import Layer, Parameter
from chainrule.layers.lengths import PartialShape
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import flag, integer

__all__ = ["Linear"]


@dataclass(frozen=True)
class Linear(Layer):
    """Weighted sums of the inputs: ``y = x @ weight + bias``.

    Shapes: input ``(n, *, in_features)``, output ``(n, *, out_features)``; weight
    ``(in_features, out_features)``, the transpose of PyTorch's; bias ``(out_features,)``.

    Parameters
    ----------
    in_features, out_features : int
        Lengths of the last axis, both at least 1.
    bias : bool
        Whether there is a bias.
    weight_init, bias_init : Initializer, optional
        The initializers of weight and bias; by default as in PyTorch, uniform within
        ``1 / sqrt(in_features)``.

    Raises
    ------
    ValueError
        If a size is less than 1.
    TypeError
        If a size is not an integer, or an initializer is not an initializer.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Linear(2, 3), seed=0)
    >>> net.parameters()["0.weight"].shape
    (2, 3)
    """

    torch_axis: ClassVar[int | None] = -1
    in_features: int
    out_features: int
    bias: bool = True
    weight_init: Initializer = KaimingUniform(a=5**0.5)
    bias_init: Initializer = UniformByFanIn()

    def __post_init__(self) -> None:
        for name in ("in_features", "out_features"):
            size = integer(getattr(self, name), f"Linear's {name}", least=1)
            object.__setattr__(self, name, size)
        object.__setattr__(self, "bias", flag(self.bias, "Linear's bias"))
        for name in ("weight_init", "bias_init"):
            if not isinstance(getattr(self, name), Initializer):
                raise TypeError(
                    f"Linear's {name} must be an initializer such as cr.initializers.Zeros(), "
                    f"not {getattr(self, name)!r}."
                )

    def __repr__(self) -> str:
        return (
            f"Linear({self.in_features}, {self.out_features}{'' if self.bias else ', bias=False'})"
        )

    @property
    def last_length(self) -> int:
        return self.in_features

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"expects {self.in_features} input features")
        return (*shape[:-1], self.out_features)

    def parameters(self) -> dict[str, Parameter]:
        shape, fan_in = (self.in_features, self.out_features), self.in_features
        weight = Parameter(shape, self.weight_init, fan_in, torch_axes=(1, 0))
        if not self.bias:
            return {"weight": weight}
        return {"weight": weight, "bias": Parameter((self.out_features,), self.bias_init, fan_in)}

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        uses = {
            name: plan.parameter(name, parameter.shape)
            for name, parameter in self.parameters().items()
        }
        return plan.apply("linear", x, shape=self.output_shape(x.shape), parameters=uses)
