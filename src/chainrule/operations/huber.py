"""Huber's loss: squared near 0, linear beyond ``delta``."""

from collections.abc import Mapping
from math import erf, exp, pi, sqrt

from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import entries_of_one_weight, scale_rows
from chainrule.kernels.views import flat
from chainrule.operations import mse
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


@kernel
def huber(output, target, weight, total, terms, d_output, delta):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    delta = output.dtype.type(delta)
    half = output.dtype.type(0.5)
    outputs, targets, d_outputs, losses = flat(output), flat(target), flat(d_output), flat(terms)
    length = entries_of_one_weight(weight, columns)
    for begin in range(0, outputs.size, length):
        end = begin + length
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        loss = losses[begin:end]
        factor = output.dtype.type(scale * weight[begin // columns])
        for k in range(length):
            error = out[k] - aim[k]
            clipped = delta if error > delta else (-delta if error < -delta else error)
            # e**2 / 2 inside, delta * (|e| - delta / 2) outside, in one expression
            loss[k] = clipped * (error - half * clipped)
            gradient[k] = factor * clipped


@kernel
def huber_curvature(output, target, weight, total, direction, d_gradient, delta):
    zero, delta = output.dtype.type(0), output.dtype.type(delta)
    out, aim, movement, change = flat(output), flat(target), flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = movement[k] if abs(out[k] - aim[k]) < delta else zero
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


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
