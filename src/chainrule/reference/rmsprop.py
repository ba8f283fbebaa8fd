"""RMSprop, by the formula of torch.optim."""

import numpy as np


def rmsprop_update(
    params,
    grads,
    square,
    mean=None,
    velocity=None,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
):
    """Step by the gradient over the root of its running square, or of its running variance.

    Where that overflows, the parameter becomes NaN; the formula would never move it again.
    """
    gradient = grads + weight_decay * params
    if centered:  # square + mean**2 is the running square, so that square itself is the variance
        square[...] = alpha * square + (np.sqrt(alpha * (1 - alpha)) * (gradient - mean)) ** 2
        mean[...] = alpha * mean + (1 - alpha) * gradient
    else:
        square[...] = alpha * square + (np.sqrt(1 - alpha) * gradient) ** 2
    step = gradient / (np.sqrt(square) + eps)
    if momentum > 0:
        velocity[...] = momentum * velocity + step
        step = velocity
    params -= lr * step
    params[np.isinf(square)] = np.nan
