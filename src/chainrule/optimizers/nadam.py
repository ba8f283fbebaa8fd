"""NAdam."""

from typing import ClassVar

from chainrule.optimizers.adam import MomentOptimizer
from chainrule.optimizers.optimizer import LRFactors, WeightDecay
from chainrule.utils.arguments import at_least_zero, flag

__all__ = ["NAdam"]


class NAdam(MomentOptimizer):
    """Adam with Nesterov's momentum.

    With m and s as of :class:`Adam`, s corrected for its start at 0, the momentum of step t,
    ``mu(t) = beta1 * (1 - 0.5 * 0.96**(t * momentum_decay))``, and P the product of all so far,
    ``d = (1 - mu(t)) / (1 - P) * g + mu(t + 1) / (1 - P * mu(t + 1)) * m`` and
    ``w = w - lr * d / (sqrt(s) + eps)``. Where s overflows, as of a gradient above 5.8e20 in
    float32, w becomes NaN, and :func:`fit` raises a :class:`NonFiniteError`.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    betas : (float, float)
        What is kept of the running mean and the running square, from 0 to 1 (without 1).
    eps : float
        Keeps the division finite, more than 0.
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, added to the gradient, 0 or more; by patterns, see
        :class:`AdamW`.
    momentum_decay : float
        How fast the momentum grows from half of beta1 to beta1, 0 or more.
    decoupled_weight_decay : bool
        Let the weights decay as :class:`AdamW` does, instead of by a penalty.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Dozat, *Incorporating Nesterov Momentum into Adam*, ICLR 2016 workshop.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.NAdam(lr=0.01)  # doctest: +NORMALIZE_WHITESPACE
    NAdam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, momentum_decay=0.004,
          decoupled_weight_decay=False)
    """

    operation = "nadam"
    number_checks: ClassVar = MomentOptimizer.number_checks | {
        "momentum_decay": at_least_zero,
        "decoupled_weight_decay": flag,
    }

    def __init__(
        self,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            lr_factors=lr_factors,
        )
