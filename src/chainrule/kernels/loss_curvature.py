"""Second derivatives of losses: how their gradient changes while the output moves."""

from chainrule.kernels.activation import softmax
from chainrule.kernels.elementary import sigmoid
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.kernels.views import flat


@kernel
def mse_curvature(output, target, weight, total, direction, d_gradient):
    two = output.dtype.type(2)
    movement, change = flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = two * movement[k]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


@kernel
def huber_curvature(output, target, weight, total, direction, d_gradient, delta):
    zero, delta = output.dtype.type(0), output.dtype.type(delta)
    out, aim, movement, change = flat(output), flat(target), flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = movement[k] if abs(out[k] - aim[k]) < delta else zero
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


@kernel
def bce_with_logits_curvature(output, target, weight, total, direction, d_gradient):
    out, movement, change = flat(output), flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = sigmoid(out[k]) * sigmoid(-out[k]) * movement[k]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


@kernel
def cross_entropy_curvature(output, weight, total, direction, d_gradient):
    softmax(output, d_gradient)
    for i in range(output.shape[0]):
        movement, row = direction[i], d_gradient[i]
        mean = output.dtype.type(0)
        for j in range(row.size):
            mean += row[j] * movement[j]
        for j in range(row.size):
            row[j] *= movement[j] - mean
    scale_rows(d_gradient, weight, row_scale(total, 1))
