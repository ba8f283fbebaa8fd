"""Root mean square normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.layers.normalization import Normalization
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import above_zero, flag, optional

__all__ = ["RMSNorm"]


@dataclass(frozen=True, repr=False)
class RMSNorm(Normalization):
    """Brings each row to mean square 1 along its last axis, then scales it.

    ``y = x / sqrt(mean(x**2) + eps) * weight``: as :class:`LayerNorm`, but without a mean, and
    without a bias.

    Shapes: input ``(n, *, features)``, output the same; weight ``(features,)``.

    Parameters
    ----------
    features : int
        At least 1.
    eps : float, optional
        More than 0; by default the distance from 1 to the next number of the network's dtype, as in
        PyTorch: ``np.finfo(dtype).eps``.
    affine : bool
        Whether there is a weight (PyTorch's ``elementwise_affine``).

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If an argument is no number.

    References
    ----------
    Zhang and Sennrich, *Root Mean Square Layer Normalization*, NeurIPS 2019.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.RMSNorm(2), dtype="float64")
    >>> net.predict([[1.0, 7.0], [-30.0, 40.0]]).round(3)
    array([[ 0.2  ,  1.4  ],
           [-0.849,  1.131]])
    """

    operation: ClassVar[str] = "rms_norm"
    number_checks: ClassVar = {"eps": optional(above_zero), "affine": flag}
    features: int
    eps: float | None = None
    affine: bool = True

    @property
    def has_bias(self) -> bool:
        return False

    def eps_in(self, dtype: np.dtype) -> float:
        """Return ``eps`` in a network of this dtype."""
        return float(np.finfo(dtype).eps if self.eps is None else self.eps)

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        saved = {"scale": Tensor((*x.shape[:-1], 1))}
        y = plan.apply(self.operation, x, numbers={"eps": self.eps_in(plan.dtype)}, saved=saved)
        return self.scale_and_shift(plan, y)
