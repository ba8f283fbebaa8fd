"""A gated linear unit."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder

__all__ = ["GLU"]


@dataclass(frozen=True)
class GLU(Layer):
    """Gated linear unit: half of the last axis, times the sigmoid of the other half.

    ``y = value * sigmoid(gate)`` for ``x = [value, gate]``.

    Shapes: input ``(n, *, 2 * k)``, output ``(n, *, k)``.

    References
    ----------
    Dauphin et al., *Language Modeling with Gated Convolutional Networks*, ICML 2017.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Sequential(cr.GLU()).predict([[3.0, 4.0, 0.0, 100.0]])
    array([[1.5, 4. ]], dtype=float32)
    """

    operation: ClassVar[str] = "glu"

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape or input_shape[-1] % 2:
            raise ValueError("expects a last axis of even length")
        return (*input_shape[:-1], input_shape[-1] // 2)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x, shape=self.output_shape(x.shape))
