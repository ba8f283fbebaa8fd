"""Dropout: elements set to 0 at random in training."""

from dataclasses import dataclass
from typing import ClassVar

from chainrule.layers.layer import Layer
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import fraction_below_one

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout(Layer):
    """Set each element to 0 with probability p, and multiply the others by ``1 / (1 - p)``.

    It does so in the steps of :func:`fit`, and in ``net.forward``, where each call has another
    mask, and the ``backward`` after it the same. Everywhere else it is the identity: in
    ``predict``, in validation, and in the derivatives (:func:`value_and_grad`, :func:`jvp` and the
    like), :func:`objective` and :func:`explain`, which are of what ``predict`` computes.
    :func:`gradcheck` checks it with a mask that stays, unless ``net.training`` is False.

    Masks follow from the seed of ``fit`` and the number of the optimizer's step, or from the
    network's seed and the number of its forward pass; any number of threads draws the same.

    Shapes: input ``(n, *)``, output the same.

    Parameters
    ----------
    p : float
        At least 0 and less than 1.

    Raises
    ------
    ValueError, TypeError
        If p is no such number.

    References
    ----------
    Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*,
    JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Dropout(0.5), seed=0)
    >>> bool(np.isin(net.forward(np.ones((100, 3))), [0, 2]).all())
    True
    >>> net.predict([[1.0, 1.0]])
    array([[1., 1.]], dtype=float32)
    """

    in_any_order = True

    differs_in_training: ClassVar[bool] = True
    number_checks: ClassVar = {"p": fraction_below_one}
    p: float = 0.5

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        return plan.dropout(x, self.p)
