"""Adagrad."""

from math import sqrt
from typing import ClassVar

from chainrule.optimizers.optimizer import LRFactors, Optimizer, WeightDecay
from chainrule.utils.arguments import above_zero, at_least_zero

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Steps by the gradient over the root of the sum of all its squares so far.

    ``g = gradient + weight_decay * w``, ``s = s + g**2`` and, in step t,
    ``w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)``. What is remembered is the root
    of s, so that no square overflows.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    lr_decay : float
        How fast the learning rate falls, 0 or more.
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, added to the gradient, 0 or more; by patterns, see
        :class:`AdamW`.
    initial_accumulator_value : float
        The sum s before the first step, 0 or more.
    eps : float
        Keeps the division finite, more than 0.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Duchi, Hazan and Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization*, JMLR 12, 2011.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Adagrad(lr=0.1)  # doctest: +NORMALIZE_WHITESPACE
    Adagrad(lr=0.1, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0,
            eps=1e-10)
    """

    operation = "adagrad"
    number_checks: ClassVar = Optimizer.number_checks | {
        "lr_decay": at_least_zero,
        "initial_accumulator_value": at_least_zero,
        "eps": above_zero,
    }
    initial_accumulator_value: float

    def __init__(
        self,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: WeightDecay = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            lr_factors=lr_factors,
        )

    def _first_value(self) -> float:
        return sqrt(self.initial_accumulator_value)
