"""The fitted attributes of an estimator, which the solvers read and write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer


class FittedNetwork:
    """The attributes of an estimator, besides the parameters of its constructor."""

    network_: Sequential
    validation_scores_: Any
    best_validation_score_: Any
    best_loss_: Any
    loss_: float
    loss_curve_: list[float]
    n_iter_: int
    t_: int
    _loss: Loss
    _optimizer: Optimizer
    _no_improvement_count: int

    if TYPE_CHECKING:  # the constructors' parameters

        def __getattr__(self, name: str) -> Any: ...
