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
def average_update(params, average, decay):
    share = params.dtype.type(1.0 - decay)
    for i in range(params.size):
        average[i] += share * (params[i] - average[i])


@kernel
def sgd_update_without_momentum(params, grads, lr, weight_decay):
    lr, weight_decay = params.dtype.type(lr), params.dtype.type(weight_decay)
    for i in range(params.size):
        params[i] -= lr * (grads[i] + weight_decay * params[i])


@kernel
def adam_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    _adam(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, 1.0, step)


@kernel
def adamw_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    shrink = 1.0 - lr * weight_decay
    _adam(params, grads, mean, square, lr, beta1, beta2, eps, 0.0, shrink, step)


@kernel
def _adam(params, grads, mean, square, lr, beta1, beta2, eps, penalty, shrink, step):
    # lr * (m / correction1) / (sqrt(s / correction2) + eps), both sides times sqrt(correction2):
    # the corrections cost nothing in the loop, which its one root and its one division bound.
    # The gradient is scaled before it is squared, for gradients whose square alone overflows. Where
    # s overflows all the same, 0 * s is NaN: without it the parameter would stay where it is.
    number = params.dtype.type
    root = math.sqrt(1.0 - beta2**step)
    rate, eps = number(lr * root / (1.0 - beta1**step)), number(eps * root)
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(math.sqrt(1.0 - beta2))
    penalty, shrink, nothing = number(penalty), number(shrink), number(0.0)
    for i in range(params.size):
        g = grads[i] + penalty * params[i]
        taken = take2 * g
        m = keep1 * mean[i] + take1 * g
        s = keep2 * square[i] + taken * taken
        mean[i] = m
        square[i] = s
        params[i] = shrink * params[i] - rate * m / (math.sqrt(s) + eps) + nothing * s
