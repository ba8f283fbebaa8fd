"""The errors that are chainrule's own; bad arguments raise ValueError and TypeError."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.checks.gradcheck import GradientReport
    from chainrule.training.history import History


class NonFiniteError(ArithmeticError):
    """The loss, or a parameter, became NaN or infinite; the network keeps what it had before.

    Attributes
    ----------
    epoch, step : int
        Where it happened, both counted from 1.
    layer : str
        The first layer whose output was not finite, or ``"the loss"``; if all of them were, the
        first layer whose parameters were not finite after the optimizer's step.
    history : History or None
        What happened in :func:`fit` until then.
    """

    def __init__(
        self, message: str, *, epoch: int, step: int, layer: str, history: History | None = None
    ) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer, self.history = epoch, step, layer, history

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it come out of other processes, with the arguments that have no place in ``args``."""
        make = partial(type(self), epoch=self.epoch, step=self.step, layer=self.layer)
        return make, self.args, self.__dict__


class GradientMismatch(AssertionError):  # noqa: N818 - named for what was found
    """A gradient differs from the central differences; ``report`` says where and by how much."""

    def __init__(self, report: GradientReport) -> None:
        super().__init__(str(report))
        self.report = report


class ModelFileError(ValueError):
    """A file is not a saved model that can be loaded; the message says why."""
