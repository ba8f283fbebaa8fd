"""Lion: steps by the sign of the gradient's running mean."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def lion_update(params, grads, mean, lr, beta1, beta2, weight_decay):
    # NaN and infinity have a sign, and would stay in the mean: 0 * m is NaN there.
    number = params.dtype.type
    rate, shrink, zero = number(lr), number(1.0 - lr * weight_decay), number(0.0)
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(1.0 - beta2)
    for i in range(params.size):
        g, m = grads[i], mean[i]
        direction = keep1 * m + take1 * g
        m = keep2 * m + take2 * g
        mean[i] = m
        change = rate if direction > zero else (-rate if direction < zero else zero)
        params[i] = shrink * params[i] - change + zero * m


OPERATION = UpdateOperation("lion", function(lion_update), ("mean",))
