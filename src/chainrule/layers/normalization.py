"""What layers that normalize features have in common."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.layers.layer import Layer, short_repr
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import integer


@dataclass(frozen=True, repr=False)
class Normalization(Layer):
    """A layer on inputs whose last axis has so many features, with a weight and a bias for each.

    Parameters
    ----------
    features : int
    eps : float
    """

    features: int
    eps: float = 1e-5

    def __post_init__(self) -> None:
        self.check_numbers()
        number = integer(self.features, f"{type(self).__name__}'s features", least=1)
        object.__setattr__(self, "features", number)

    def __repr__(self) -> str:
        return short_repr(self, "features")

    @property
    def expected_shape(self) -> Shape | None:
        return (self.features,)

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[-1:] != (self.features,):
            raise ValueError(f"expects {self.features} features")
        return input_shape

    def scale_and_shift(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        """Append the product with the weight and the sum with the bias, as far as there are any."""
        parameters = self.parameters().items()
        uses = {name: plan.parameter(name, own.shape) for name, own in parameters}
        return plan.apply("scale_shift", x, parameters=uses) if uses else x
