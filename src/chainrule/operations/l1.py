"""The mean absolute error."""

from collections.abc import Mapping
from typing import Any

from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.kernels.views import flat
from chainrule.operations import mse
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import Function, function


@kernel
def l1(output, target, weight, total, terms, d_output):
    zero, one = output.dtype.type(0), output.dtype.type(1)
    out, aim, loss, gradient = flat(output), flat(target), flat(terms), flat(d_output)
    for k in range(out.size):
        error = out[k] - aim[k]
        loss[k] = abs(error)
        gradient[k] = one if error > zero else (-one if error < zero else error)
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def l1_curvature(direction, d_gradient):
    zero = direction.dtype.type(0)
    movement, change = flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = zero * movement[k]


def _fisher(numbers: Mapping[str, Any]) -> tuple[Function, float]:
    """Return that of half the squared error: a Laplace distribution's score is 1 or -1."""
    assert mse.OPERATION.curvature is not None
    return mse.OPERATION.curvature, 0.5


OPERATION = LossOperation("l1", function(l1), function(l1_curvature), _fisher)
