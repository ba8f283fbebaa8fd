"""Layer normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.normalization import Normalization
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import above_zero, flag

__all__ = ["LayerNorm"]


@dataclass(frozen=True, repr=False)
class LayerNorm(Normalization):
    """Brings each row to mean 0 and variance 1 along its last axis, then scales and shifts it.

    ``y = (x - mean) / sqrt(variance + eps) * weight + bias``, with the (biased) variance; there is
    a weight and a bias for each feature.

    Shapes: input ``(n, *, features)``, output the same; weight and bias ``(features,)``.

    Parameters
    ----------
    features : int
        At least 1.
    eps : float
        More than 0.
    affine : bool
        Whether there are a weight and a bias (PyTorch's ``elementwise_affine``).
    bias : bool
        Whether there is a bias beside the weight.

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If an argument is no number.

    References
    ----------
    Ba, Kiros and Hinton, *Layer Normalization*, arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.LayerNorm(2, eps=1e-9), dtype="float64")
    >>> net.predict([[1.0, 3.0], [10.0, -10.0]]).round(6)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    operation: ClassVar[str] = "layer_norm"
    number_checks: ClassVar = {"eps": above_zero, "affine": flag, "bias": flag}
    features: int
    eps: float = 1e-5
    affine: bool = True
    bias: bool = True

    @property
    def has_bias(self) -> bool:
        return self.affine and self.bias

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        saved = {"scale": Tensor((*x.shape[:-1], 1))}
        y = plan.apply(self.operation, x, numbers={"eps": float(self.eps)}, saved=saved)
        return self.scale_and_shift(plan, y)
