"""A gated linear unit."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.layer import Layer
from chainrule.layers.lengths import PartialShape, halved
from chainrule.operations.operation import Tensor
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

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if not shape or (half := halved(shape[-1])) is None:
            raise ValueError("expects a last axis of even length")
        return (*shape[:-1], half)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.apply(self.operation, x, shape=self.output_shape(x.shape))
