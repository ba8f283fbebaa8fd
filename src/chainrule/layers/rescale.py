"""Scaling of the input."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.layer import Layer
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import real

__all__ = ["Rescale"]


@dataclass(frozen=True)
class Rescale(Layer):
    """A fixed scale and offset: ``y = x * scale + offset``, elementwise.

    At the head of a network it costs nothing, and X may stay as it was recorded: pixels as uint8,
    say. As it is part of the network, ``predict`` does to X what ``fit`` did.

    Shapes: input ``(n, *)``, output the same. Nothing is trained.

    Parameters
    ----------
    scale, offset : float
        Finite numbers.

    Raises
    ------
    ValueError
        If one of them is not finite.
    TypeError
        If one of them is no number.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> pixels = np.array([[0, 64, 192]], np.uint8)
    >>> cr.Sequential(cr.Rescale(1 / 128, offset=-1)).predict(pixels)
    array([[-1. , -0.5,  0.5]], dtype=float32)
    """

    in_any_order = True

    number_checks: ClassVar = {"scale": real, "offset": real}
    scale: float
    offset: float = 0.0

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.rescale(x, float(self.scale), float(self.offset))
