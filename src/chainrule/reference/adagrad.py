"""Adagrad, by the formula of torch.optim."""

import numpy as np


def adagrad_update(params, grads, root, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, step=1):
    """Step by the gradient over the root of the sum of all squares so far.

    Where that overflows, the parameter becomes NaN; the formula would never move it again.
    """
    gradient = grads + weight_decay * params
    root[...] = np.hypot(root, gradient)
    params -= lr / (1 + (step - 1) * lr_decay) * gradient / (root + eps)
    params[np.isinf(root)] = np.nan
