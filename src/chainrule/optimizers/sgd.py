"""Stochastic gradient descent."""

from typing import ClassVar

from chainrule.optimizers.optimizer import LRFactors, Optimizer, WeightDecay
from chainrule.utils.arguments import flag, fraction_below_one

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    ``g = gradient + weight_decay * w``, ``v = momentum * v + g``, ``w = w - lr * v``; with
    nesterov, ``w = w - lr * (g + momentum * v)``. Without momentum, no v is kept; it is 0 before
    the first step with some.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    momentum : float
        What is kept of the velocity v, from 0 to 1 (without 1).
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, 0 or more; by patterns, see :class:`AdamW`.
    nesterov : bool
        Look ahead along the momentum; needs one.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Sutskever et al., *On the importance of initialization and momentum in deep learning*,
    ICML 2013.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False)
    """

    operation = "sgd"
    number_checks: ClassVar = Optimizer.number_checks | {
        "momentum": fraction_below_one,
        "nesterov": flag,
    }

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: WeightDecay = 0.0,
        nesterov: bool = False,
        lr_factors: LRFactors | None = None,
    ) -> None:
        if nesterov and momentum == 0:
            raise ValueError("SGD's nesterov needs a momentum above 0.")
        super().__init__(
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=nesterov,
            lr_factors=lr_factors,
        )
