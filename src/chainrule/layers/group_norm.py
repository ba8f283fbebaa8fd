"""Group normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.layer import short_repr
from chainrule.layers.normalization import Normalization
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import above_zero, flag, integer

__all__ = ["GroupNorm"]


@dataclass(frozen=True, repr=False)
class GroupNorm(Normalization):
    """Brings each group of features to mean 0 and variance 1, then scales and shifts each feature.

    ``y = (x - mean) / sqrt(variance + eps) * weight + bias``. Mean and (biased) variance are those
    of a group of neighbouring features in one row of the batch, over all axes between batch and
    features. ``groups=1`` takes those of the whole row; as many groups as features take those of
    each feature by itself (instance normalization).

    Shapes: input ``(n, *, features)``, output the same; weight and bias ``(features,)``.
    (PyTorch's features are the axis after the batch.)

    Parameters
    ----------
    groups : int
        At least 1, and a divisor of ``features``.
    features : int
        At least 1.
    eps : float
        More than 0.
    affine : bool
        Whether there are a weight and a bias.

    Raises
    ------
    ValueError
        If an argument is out of range, or the groups do not divide the features.
    TypeError
        If an argument is no number.

    References
    ----------
    Wu and He, *Group Normalization*, ECCV 2018.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.GroupNorm(2, 4, eps=1e-9), dtype="float64")
    >>> net.predict([[1.0, 3.0, 40.0, 20.0]]).round(6)
    array([[-1.,  1.,  1., -1.]])
    """

    in_any_order = False
    torch_axis: ClassVar[int | None] = 1

    operation: ClassVar[str] = "group_norm"
    number_checks: ClassVar = {"eps": above_zero, "affine": flag}
    groups: int
    features: int
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        groups = integer(self.groups, "GroupNorm's groups", least=1)
        object.__setattr__(self, "groups", groups)
        if self.features % groups:
            raise ValueError(
                f"GroupNorm's groups must divide its {self.features} features, not be {groups}."
            )

    def __repr__(self) -> str:
        return short_repr(self, "groups", "features")

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        y = plan.apply(
            self.operation,
            plan.reshape(x, (x.size,)),
            numbers={"eps": float(self.eps), "groups": self.groups, "channels": self.features},
            saved={"scale": Tensor((self.groups,))},
        )
        return self.scale_and_shift(plan, plan.reshape(y, x.shape))
