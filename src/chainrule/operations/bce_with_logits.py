"""Binary cross-entropy of logits."""

from chainrule.kernels.elementary import sigmoid, softplus
from chainrule.kernels.jit import kernel
from chainrule.kernels.loss import row_scale
from chainrule.kernels.rows import scale_rows
from chainrule.kernels.views import flat
from chainrule.operations.loss import LossOperation
from chainrule.operations.operation import function


@kernel
def bce_with_logits(output, target, weight, total, terms, d_output):
    zero = output.dtype.type(0)
    z, t, gradient, loss = flat(output), flat(target), flat(d_output), flat(terms)
    for k in range(z.size):
        loss[k] = (zero if z[k] < zero else z[k]) - z[k] * t[k] + softplus(-abs(z[k]))
    for k in range(z.size):
        gradient[k] = sigmoid(z[k]) - t[k]
    scale_rows(d_output, weight, row_scale(total, output.shape[1]))


@kernel
def bce_with_logits_curvature(output, target, weight, total, direction, d_gradient):
    out, movement, change = flat(output), flat(direction), flat(d_gradient)
    for k in range(change.size):
        change[k] = sigmoid(out[k]) * sigmoid(-out[k]) * movement[k]
    scale_rows(d_gradient, weight, row_scale(total, output.shape[1]))


OPERATION = LossOperation(
    "bce_with_logits", function(bce_with_logits), function(bce_with_logits_curvature)
)
