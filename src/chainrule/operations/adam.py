"""Adam: steps by the running mean over the root of the running square, or of its maximum."""

import math

from chainrule.kernels.elementary import reciprocal
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
    # the corrections cost nothing in the loop, which its root bounds.
    number = params.dtype.type
    root = math.sqrt(1.0 - beta2**step)
    rate, eps = number(lr * root / (1.0 - beta1**step)), number(eps * root)
    keeps = number(beta1), number(beta2)
    takes = number(1.0 - beta1), number(math.sqrt(1.0 - beta2))
    penalty, shrink, zero = number(penalty), number(shrink), number(0.0)
    if amsgrad:
        for i in range(params.size):
            g = grads[i] + penalty * params[i]
            m, s = _moments(g, mean[i], square[i], keeps, takes)
            mean[i], square[i] = m, s
            s = largest[i] if largest[i] > s else s  # NaN too
            largest[i] = s
            params[i] = _stepped(shrink * params[i], rate * m, s, eps, zero)
    else:  # LLVM would leave the loop as one, where `largest` keeps it from vectorising
        for i in range(params.size):
            g = grads[i] + penalty * params[i]
            m, s = _moments(g, mean[i], square[i], keeps, takes)
            mean[i], square[i] = m, s
            params[i] = _stepped(shrink * params[i], rate * m, s, eps, zero)


@kernel
def _moments(g, mean, square, keeps, takes):
    # The gradient is scaled before it is squared, for gradients whose square alone overflows.
    taken = takes[1] * g
    return keeps[0] * mean + takes[0] * g, keeps[1] * square + taken * taken


@kernel
def _stepped(param, movement, square, eps, zero):
    # Where the square overflows all the same, 0 * s is NaN: without it the parameter would stay
    # where it is.
    return param - movement * reciprocal(math.sqrt(square) + eps) + zero * square


OPERATION = UpdateOperation(
    "adam",
    function(adam_update),
    ("mean", "square", "largest"),
    optional={"largest": "amsgrad"},
    sample={"amsgrad": False},
)
