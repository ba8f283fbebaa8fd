"""Huber's loss: squared near 0, linear beyond ``delta``."""

from collections.abc import Mapping
from math import erf, exp, pi, sqrt

from chainrule.kernels.loss import huber
from chainrule.kernels.loss_curvature import huber_curvature
from chainrule.operations import mse
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


def _fisher(numbers: Mapping[str, float]) -> tuple[Function, float]:
    """Return that of half the squared error, times the distribution's information."""
    assert mse.OPERATION.curvature is not None
    return mse.OPERATION.curvature, information(numbers["delta"]) / 2


def information(delta: float) -> float:
    """Return the mean of the squared derivative of Huber's loss under his distribution.

    Its density is proportional to ``exp(-loss)``: a normal one's middle, with exponential tails.
    """
    middle = sqrt(2 * pi) * erf(delta / sqrt(2))
    return middle / (middle + 2 / delta * exp(-delta * delta / 2))


OPERATION = LossOperation("huber", function(huber), function(huber_curvature), _fisher)
