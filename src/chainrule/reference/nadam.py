"""NAdam, by the formula and in the notation of torch.optim."""

import numpy as np


def momentum_product(beta1, momentum_decay, step):
    """Return the product of the momenta of all steps so far."""
    steps = np.arange(1, step + 1)
    return np.prod(beta1 * (1 - 0.5 * 0.96 ** (steps * momentum_decay)))


def nadam_update(
    params,
    grads,
    mean,
    square,
    lr=2e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
    step=1,
):
    """Take Adam's step with Nesterov's momentum (Dozat).

    Where the running square overflows, the parameter becomes NaN; the formula would never move it
    again.
    """
    gradient = grads
    if decoupled_weight_decay:
        params *= 1 - lr * weight_decay
    else:
        gradient = grads + weight_decay * params
    mean[...] = beta1 * mean + (1 - beta1) * gradient
    square[...] = beta2 * square + (np.sqrt(1 - beta2) * gradient) ** 2
    momentum = beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))
    next_momentum = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    product = momentum_product(beta1, momentum_decay, step)
    estimate = (1 - momentum) / (1 - product) * gradient
    estimate = estimate + next_momentum / (1 - product * next_momentum) * mean
    root_estimate = np.sqrt(square) / np.sqrt(1 - beta2**step)
    params -= lr * estimate / (root_estimate + eps)
    params[np.isinf(square)] = np.nan
