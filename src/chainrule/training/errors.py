"""The error of a training that diverges."""

from __future__ import annotations

from functools import partial
from typing import Any

from chainrule.training.history import History


class NonFiniteError(ArithmeticError):
    """The loss or a parameter became NaN or infinite; the network keeps its last finite parameters.

    Attributes
    ----------
    epoch, step : int
        Where it happened, both counted from 1.
    layer : str
        The first layer whose output was not finite, or ``"the loss"``; if all of them were, the
        first layer whose parameters were not finite after the optimizer's step.
    history : History or None
        The history of :func:`fit` until then.
    """

    __module__ = "chainrule"  # tracebacks show the public name

    def __init__(
        self, message: str, *, epoch: int, step: int, layer: str, history: History | None = None
    ) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer, self.history = epoch, step, layer, history

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickling, between processes too: keyword arguments are not in ``args``."""
        make = partial(type(self), epoch=self.epoch, step=self.step, layer=self.layer)
        return make, self.args, self.__dict__
