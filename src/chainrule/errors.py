"""The errors that are chainrule's own; bad arguments raise ValueError and TypeError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.gradcheck import GradientReport


class NonFiniteError(ArithmeticError):
    """The loss became NaN or infinite; the network keeps its last finite parameters.

    Attributes
    ----------
    epoch, step : int
        Where it happened, both counted from 1.
    layer : str
        The first layer whose output was not finite, or ``"the loss"``.
    """

    def __init__(self, message: str, *, epoch: int, step: int, layer: str) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer = epoch, step, layer


class GradientMismatch(AssertionError):  # noqa: N818 - named for what was found
    """A gradient differs from the central differences; ``report`` says where and by how much."""

    def __init__(self, report: GradientReport) -> None:
        super().__init__(str(report))
        self.report = report


class ModelFileError(ValueError):
    """A file is not a saved model that can be loaded; the message says why."""
