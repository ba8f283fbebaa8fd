"""Optimizer updates: one pass over the flat vectors, each element read and written once."""

import math

from chainrule.kernels.jit import kernel


@kernel
def sgd_update(params, grads, velocity, lr, momentum, weight_decay, nesterov):
    number = params.dtype.type
    lr, momentum, weight_decay = number(lr), number(momentum), number(weight_decay)
    for i in range(params.size):
        g = grads[i] + weight_decay * params[i]
        v = momentum * velocity[i] + g
        velocity[i] = v
        params[i] -= lr * (g + momentum * v if nesterov else v)


@kernel
def adam_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    number = params.dtype.type
    rate, root_correction = number(lr / (1.0 - beta1**step)), number(math.sqrt(1.0 - beta2**step))
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(1.0 - beta2)
    eps, weight_decay = number(eps), number(weight_decay)
    for i in range(params.size):
        g = grads[i] + weight_decay * params[i]
        m = keep1 * mean[i] + take1 * g
        s = keep2 * square[i] + take2 * g * g
        mean[i] = m
        square[i] = s
        params[i] -= rate * m / (math.sqrt(s) / root_correction + eps)


@kernel
def adamw_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    # Adam's loop once more: the decay in the same pass saves a read and a write of every weight.
    number = params.dtype.type
    rate, root_correction = number(lr / (1.0 - beta1**step)), number(math.sqrt(1.0 - beta2**step))
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(1.0 - beta2)
    eps, shrink = number(eps), number(1.0 - lr * weight_decay)
    for i in range(params.size):
        g = grads[i]
        m = keep1 * mean[i] + take1 * g
        s = keep2 * square[i] + take2 * g * g
        mean[i] = m
        square[i] = s
        params[i] = shrink * params[i] - rate * m / (math.sqrt(s) / root_correction + eps)
