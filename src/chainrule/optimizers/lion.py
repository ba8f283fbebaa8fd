"""Lion."""

from typing import ClassVar

from chainrule.optimizers.optimizer import LRFactors, Optimizer, WeightDecay, two_fractions

__all__ = ["Lion"]


class Lion(Optimizer):
    """Steps by the sign of a running mean of the gradient: by lr, up or down.

    ``w = w - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)``, and then
    ``m = beta2 * m + (1 - beta2) * g``. Where m is not finite, w becomes NaN, and :func:`fit`
    raises a :class:`NonFiniteError`.

    Its authors advise a learning rate three to ten times as small as that of :class:`AdamW`, and a
    weight decay as many times as large.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    betas : (float, float)
        What the step takes of the running mean, and what is kept of it, from 0 to 1 (without 1).
    weight_decay : float, or dict of name patterns to floats
        Share of the weights, times lr, that each step takes away, as of :class:`AdamW`; 0 or more.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Chen et al., *Symbolic Discovery of Optimization Algorithms*, NeurIPS 2023.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Lion()
    Lion(lr=0.0001, betas=(0.9, 0.99), weight_decay=0.0)
    """

    operation = "lion"
    number_checks: ClassVar = Optimizer.number_checks | {"betas": two_fractions}

    def __init__(
        self,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: WeightDecay = 0.0,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(lr=lr, betas=betas, weight_decay=weight_decay, lr_factors=lr_factors)
