"""Optimizer updates, by the formulas and in the notation of torch.optim."""

import numpy as np


def sgd_update(params, grads, velocity, lr, momentum, weight_decay, nesterov):
    """Step against the gradient, or against its running sum where there is momentum."""
    gradient = grads + weight_decay * params
    velocity[...] = momentum * velocity + gradient
    params -= lr * (gradient + momentum * velocity if nesterov else velocity)


def average_update(params, average, decay):
    """Let an exponential moving average follow: ``average += (1 - decay) * (params - average)``."""
    average += (1 - decay) * (params - average)


def sgd_update_without_momentum(params, grads, lr, weight_decay):
    """Step against the gradient."""
    params -= lr * (grads + weight_decay * params)


def adam_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    """Step by the gradient's running mean over the root of its running square (Kingma and Ba).

    Where that square overflows, the parameter becomes NaN; the formula would never move it again.
    """
    gradient = grads + weight_decay * params
    mean[...] = beta1 * mean + (1 - beta1) * gradient
    square[...] = beta2 * square + (np.sqrt(1 - beta2) * gradient) ** 2
    mean_estimate = mean / (1 - beta1**step)
    root_estimate = np.sqrt(square) / np.sqrt(1 - beta2**step)
    params -= lr * mean_estimate / (root_estimate + eps)
    params[np.isinf(square)] = np.nan


def adamw_update(params, grads, mean, square, lr, beta1, beta2, eps, weight_decay, step):
    """Shrink the weights, then take Adam's step: decoupled decay (Loshchilov and Hutter)."""
    params *= 1 - lr * weight_decay
    adam_update(params, grads, mean, square, lr, beta1, beta2, eps, 0.0, step)
