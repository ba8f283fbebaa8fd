"""RMSprop."""

from typing import ClassVar

from chainrule.optimizers.optimizer import LRFactors, Optimizer, WeightDecay
from chainrule.utils.arguments import above_zero, flag, fraction_below_one

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Steps by the gradient over the root of its running square.

    ``g = gradient + weight_decay * w``, ``s = alpha * s + (1 - alpha) * g**2`` and
    ``w = w - lr * g / (sqrt(s) + eps)``. Where s overflows, as of a gradient above 1.8e20 in
    float32, w becomes NaN, and :func:`fit` raises a :class:`NonFiniteError`.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    alpha : float
        What is kept of the running square, from 0 to 1 (without 1).
    eps : float
        Keeps the division finite, more than 0.
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, added to the gradient, 0 or more; by patterns, see
        :class:`AdamW`.
    momentum : float
        What is kept of the velocity ``v = momentum * v + g / (sqrt(s) + eps)``, from 0 to 1
        (without 1); with it, ``w = w - lr * v``.
    centered : bool
        Divide by the root of the gradient's running variance, which is s less the square of a
        running mean.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Tieleman and Hinton, *Lecture 6.5: rmsprop*, Neural Networks for Machine Learning, 2012;
    centered: Graves, *Generating Sequences With Recurrent Neural Networks*, 2013.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.RMSprop(momentum=0.9)  # doctest: +NORMALIZE_WHITESPACE
    RMSprop(lr=0.01, alpha=0.99, eps=1e-08, weight_decay=0.0, momentum=0.9,
            centered=False)
    """

    operation = "rmsprop"
    number_checks: ClassVar = Optimizer.number_checks | {
        "alpha": fraction_below_one,
        "eps": above_zero,
        "momentum": fraction_below_one,
        "centered": flag,
    }

    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            lr_factors=lr_factors,
        )
