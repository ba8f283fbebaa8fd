"""Adam, and what is like it."""

from math import sqrt
from typing import ClassVar

import numpy as np

from chainrule.optimizers.optimizer import LRFactors, Optimizer, WeightDecay, two_fractions
from chainrule.utils.arguments import above_zero, flag
from chainrule.utils.wording import possessive

__all__ = ["Adam", "AdamW"]


class MomentOptimizer(Optimizer):
    """What divides the gradient's running mean by the root of its running square."""

    betas: tuple[float, float]
    eps: float
    number_checks: ClassVar = Optimizer.number_checks | {"betas": two_fractions, "eps": above_zero}

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        # It is this product that keeps the first steps' divisions finite.
        above_zero(
            self.eps * sqrt(1 - self.betas[1]), f"{possessive(type(self).__name__)} eps", dtype
        )


class Adam(MomentOptimizer):
    """Steps by the gradient's running mean over the root of its running square.

    ``m = beta1 * m + (1 - beta1) * g``, ``s = beta2 * s + (1 - beta2) * g**2``, both corrected for
    their start at 0, and ``w = w - lr * m / (sqrt(s) + eps)``. Where s overflows, as of a gradient
    above 5.8e20 in float32, w becomes NaN, and :func:`fit` raises a :class:`NonFiniteError`.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    betas : (float, float)
        What is kept of the running mean and the running square, from 0 to 1 (without 1).
    eps : float
        Keeps the division finite, more than 0. It is checked in the network's dtype, as all numbers
        are before a step: 1e-50 is 0 in float32.
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, added to the gradient, 0 or more; by patterns, see
        :class:`AdamW`.
    amsgrad : bool
        Divide by the root of the largest s so far, before its correction, which is one more vector
        to remember.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters; see :class:`AdamW`.

    References
    ----------
    Kingma and Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015; amsgrad: Reddi et al.,
    *On the Convergence of Adam and Beyond*, ICLR 2018.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Adam()
    Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False)
    """

    operation = "adam"
    number_checks: ClassVar = MomentOptimizer.number_checks | {"amsgrad": flag}
    added_hyperparameters: ClassVar = Optimizer.added_hyperparameters | {"amsgrad": False}

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0.0,
        amsgrad: bool = False,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            lr_factors=lr_factors,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step, ``w = w * (1 - lr * weight_decay)``.

    Parameters
    ----------
    lr, betas, eps, amsgrad
        As in :class:`Adam`.
    weight_decay : float, or dict of name patterns to floats
        Share of the weights, times lr, that each step takes away; 0 or more. A dict, such as
        ``{"*.weight": 1e-2}``, has shell patterns (:mod:`fnmatch`) of names of
        ``net.parameters()``: the first that matches a parameter counts, and one that none matches
        does not decay. A pattern that matches no parameter is a ValueError at the first step.
    lr_factors : dict of name patterns to floats, optional
        Factors of lr for some parameters, such as ``{"0.*": 0.1}``, by patterns like those of
        weight_decay; a parameter that no pattern matches has lr itself. A schedule sets lr, so that
        the factors apply to its rates.

    References
    ----------
    Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.AdamW(lr=0.01)
    AdamW(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, amsgrad=False)
    """

    operation = "adamw"

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 1e-2,
        amsgrad: bool = False,
        lr_factors: LRFactors | None = None,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, amsgrad, lr_factors)
