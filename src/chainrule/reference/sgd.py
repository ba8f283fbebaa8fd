"""Stochastic gradient descent, by the formula of torch.optim."""

import numpy as np


def sgd_update(
    params, grads, velocity=None, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False
):
    """Step against the gradient, or against its running sum where there is momentum."""
    step = gradient = grads + weight_decay * params
    if momentum > 0:
        velocity[...] = momentum * velocity + gradient
        step = gradient + momentum * velocity if nesterov else velocity
    params -= lr * step


def sgd_of_rows(params, grads, rows, begin, lr):
    """Step against the gradient in some rows, whose gradient becomes 0; the others have none."""
    numbers = np.unique(rows.astype(int)) - begin
    own = numbers[(numbers >= 0) & (numbers < len(params))]
    params[own] -= lr * grads[own]
    grads[own] = 0


def sgd_update_without_momentum(params, grads, lr, weight_decay):
    """Step against the gradient."""
    params -= lr * (grads + weight_decay * params)
