"""The mean squared error."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import entries_of_one_weight, scale_rows
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function


@kernel
def mse(output, target, weight, total, terms, d_output):
    columns = output.shape[1]
    scale = row_scale(total, columns)
    two = output.dtype.type(2)
    outputs, targets, d_outputs, squares = flat(output), flat(target), flat(d_output), flat(terms)
    length = entries_of_one_weight(weight, columns)
    for begin in range(0, outputs.size, length):
        end = begin + length
        out, aim, gradient = outputs[begin:end], targets[begin:end], d_outputs[begin:end]
        square = squares[begin:end]
        factor = two * output.dtype.type(scale * weight[begin // columns])
        for k in range(length):
            error = out[k] - aim[k]
            square[k] = error * error
            gradient[k] = factor * error


@kernel
def mse_curvature(output, target, weight, total, direction, d_gradient):
    two = output.dtype.type(2)
    movement, change = flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = two * movement[k]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


OPERATION = LossOperation("mse", function(mse), function(mse_curvature))
