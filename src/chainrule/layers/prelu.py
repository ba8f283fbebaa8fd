"""A rectifier whose slope is trained."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.initializers import Constant
from chainrule.layers.layer import Layer, Parameter, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import integer, real

__all__ = ["PReLU"]


@dataclass(frozen=True)
class PReLU(Layer):
    """Parametric rectifier: x where it is positive, else ``weight * x``; the weight is trained.

    Shapes: input ``(n, *, channels)``, output the same; weight ``(num_parameters,)``. (PyTorch's
    channels are the axis after the batch.)

    Parameters
    ----------
    num_parameters : int
        1, for all channels, or their number: then each has a weight of its own.
    init : float
        What the weights begin with.

    Raises
    ------
    ValueError
        If num_parameters is less than 1, or init is not finite.
    TypeError
        If num_parameters is no integer, or init no number.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.PReLU(2))
    >>> net.predict([[-1.0, 2.0]])
    array([[-0.25,  2.  ]], dtype=float32)
    >>> net.parameters()["0.weight"]
    array([0.25, 0.25], dtype=float32)
    """

    in_any_order = True

    operation: ClassVar[str] = "prelu"
    number_checks: ClassVar = {"init": real}
    num_parameters: int = 1
    init: float = 0.25

    def __post_init__(self) -> None:
        self.check_numbers()
        number = integer(self.num_parameters, "PReLU's num_parameters", least=1)
        object.__setattr__(self, "num_parameters", number)

    def __repr__(self) -> str:
        return short_repr(self, "num_parameters")

    @property
    def last_length(self) -> int | None:
        return None if self.num_parameters == 1 else self.num_parameters

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if not shape and self.num_parameters == 1:
            raise ValueError("expects at least one axis after the batch")
        if self.num_parameters != 1 and shape[-1:] != (self.num_parameters,):
            raise ValueError(f"expects {self.num_parameters} channels")
        return shape

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": Parameter((self.num_parameters,), Constant(self.init))}

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        weight = plan.parameter("weight", (self.num_parameters,))
        return plan.apply(
            self.operation, x, x, parameters={"weight": weight}, numbers={"positive": 1.0}
        )
