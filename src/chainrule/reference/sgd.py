"""Stochastic gradient descent, by the formula of torch.optim."""


def sgd_update(
    params, grads, velocity=None, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False
):
    """Step against the gradient, or against its running sum where there is momentum."""
    gradient = grads + weight_decay * params
    velocity[...] = momentum * velocity + gradient
    params -= lr * (gradient + momentum * velocity if nesterov else velocity)


def sgd_update_without_momentum(params, grads, lr, weight_decay):
    """Step against the gradient."""
    params -= lr * (grads + weight_decay * params)
