"""Adam: steps by the running mean over the root of the running square, or of its maximum."""

import math

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def adam_update(
    params, grads, mean, square, largest, lr, beta1, beta2, eps, weight_decay, amsgrad, step
):
    numbers = lr, beta1, beta2, eps, weight_decay, 1.0, amsgrad, step
    adam_step(params, grads, mean, square, largest, *numbers)


@kernel
def adam_step(
    params, grads, mean, square, largest, lr, beta1, beta2, eps, penalty, shrink, amsgrad, step
):
    # lr * (m / correction1) / (sqrt(s / correction2) + eps), both sides times sqrt(correction2):
    # the corrections cost nothing in the loop, which its one root and its one division bound.
    # The gradient is scaled before it is squared, for gradients whose square alone overflows. Where
    # s overflows all the same, 0 * s is NaN: without it the parameter would stay where it is.
    number = params.dtype.type
    root = math.sqrt(1.0 - beta2**step)
    rate, eps = number(lr * root / (1.0 - beta1**step)), number(eps * root)
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(math.sqrt(1.0 - beta2))
    penalty, shrink, zero = number(penalty), number(shrink), number(0.0)
    for i in range(params.size):
        g = grads[i] + penalty * params[i]
        taken = take2 * g
        m = keep1 * mean[i] + take1 * g
        s = keep2 * square[i] + taken * taken
        mean[i] = m
        square[i] = s
        if amsgrad:
            s = largest[i] if largest[i] > s else s  # NaN too
            largest[i] = s
        params[i] = shrink * params[i] - rate * m / (math.sqrt(s) + eps) + zero * s


OPERATION = UpdateOperation(
    "adam",
    function(adam_update),
    ("mean", "square", "largest"),
    optional={"largest": "amsgrad"},
    sample={"amsgrad": False},
)
