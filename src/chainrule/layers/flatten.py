"""A layer that makes one axis of all but the batch."""

from dataclasses import dataclass

from chainrule.layers.layer import Layer
from chainrule.layers.lengths import PartialShape, product
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder

__all__ = ["Flatten"]


@dataclass(frozen=True)
class Flatten(Layer):
    """Merge all axes except the batch into one.

    Shapes: input ``(n, *)``, output ``(n, product of *)``.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Flatten(), cr.Linear(6, 2), seed=0)
    >>> net.predict(np.zeros((5, 2, 3))).shape
    (5, 2)
    """

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        return (product(shapes[0]),)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.reshape(x, self.output_shape(x.shape))
