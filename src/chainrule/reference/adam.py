"""Adam, by the formula and in the notation of torch.optim."""

import numpy as np


def adam_update(
    params,
    grads,
    mean,
    square,
    largest=None,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    step=1,
):
    """Take Adam's step, by gradients with the L2 penalty's (Kingma and Ba)."""
    numbers = lr, beta1, beta2, eps, weight_decay, 1.0, amsgrad, step
    adam_step(params, grads, mean, square, largest, *numbers)


def adam_step(
    params, grads, mean, square, largest, lr, beta1, beta2, eps, penalty, shrink, amsgrad, step
):
    """Step by the gradient's running mean over the root of its running square, or of its maximum.

    Where that square overflows, the parameter becomes NaN; the formula would never move it again.
    """
    gradient = grads + penalty * params
    mean[...] = beta1 * mean + (1 - beta1) * gradient
    square[...] = beta2 * square + (np.sqrt(1 - beta2) * gradient) ** 2
    if amsgrad:
        largest[...] = np.maximum(largest, square)
    mean_estimate = mean / (1 - beta1**step)
    root_estimate = np.sqrt(largest if amsgrad else square) / np.sqrt(1 - beta2**step)
    params[...] = shrink * params - lr * mean_estimate / (root_estimate + eps)
    params[np.isinf(square)] = np.nan
