"""What layers that normalize features have in common."""

from __future__ import annotations

from typing import ClassVar

from chainrule.layers.initializers import Constant, Zeros
from chainrule.layers.layer import DoesNotFit, Layer, Parameter, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.layers.windows import CHANNELS_LAST
from chainrule.operations.operation import ParameterUse, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import integer
from chainrule.utils.wording import possessive


class Normalization(Layer):
    """A layer on inputs whose last axis has so many features, maybe with a weight for each.

    Subclasses are data classes, which have these as fields.

    Attributes
    ----------
    features : int
    affine : bool
        Whether there is a weight.
    """

    in_any_order = True
    torch_axis: ClassVar[int | None] = -1

    features: int
    affine: bool

    def __post_init__(self) -> None:
        self.check_numbers()
        number = integer(self.features, f"{possessive(type(self).__name__)} features", least=1)
        object.__setattr__(self, "features", number)

    def __repr__(self) -> str:
        return short_repr(self, "features")

    @property
    def last_length(self) -> int | None:
        return self.features

    @property
    def has_bias(self) -> bool:
        """Whether there is a bias, beside the weight."""
        return self.affine

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if shape[-1:] != (self.features,):
            is_first = shape[:1] == (self.features,)
            remedy = CHANNELS_LAST.get(len(shape) - 1, "") if is_first else ""
            raise DoesNotFit(f"expects {self.features} features", remedy)
        return shape

    def parameters(self) -> dict[str, Parameter]:
        shape, parameters = (self.features,), {}
        if self.affine:
            parameters["weight"] = Parameter(shape, Constant(1.0))
        if self.has_bias:
            parameters["bias"] = Parameter(shape, Zeros())
        return parameters

    def uses_of_parameters(self, plan: PlanBuilder) -> dict[str, ParameterUse]:
        """Return the uses of the weight and the bias, as far as there are any."""
        parameters = self.parameters().items()
        return {name: plan.parameter(name, own.shape) for name, own in parameters}

    def scale_and_shift(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        """Append the product with the weight and the sum with the bias, as far as there are any."""
        uses = self.uses_of_parameters(plan)
        return plan.apply("scale_shift", x, parameters=uses) if uses else x
