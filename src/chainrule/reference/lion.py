"""Lion, by the formula of its paper (Chen et al.)."""

import numpy as np


def lion_update(params, grads, mean, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Shrink the weights, and step by the sign of a mean with more of the gradient than is kept.

    Where the mean is not finite, the parameter becomes NaN.
    """
    direction = np.sign(beta1 * mean + (1 - beta1) * grads)
    mean[...] = beta2 * mean + (1 - beta2) * grads
    params[...] = (1 - lr * weight_decay) * params - lr * direction
    params[~np.isfinite(mean)] = np.nan
