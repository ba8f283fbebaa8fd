"""Stochastic gradient descent, by the formula of torch.optim."""


def sgd_update(params, grads, velocity, lr, momentum, weight_decay, nesterov):
    """Step against the gradient, or against its running sum where there is momentum."""
    gradient = grads + weight_decay * params
    velocity[...] = momentum * velocity + gradient
    params -= lr * (gradient + momentum * velocity if nesterov else velocity)


def sgd_update_without_momentum(params, grads, lr, weight_decay):
    """Step against the gradient."""
    params -= lr * (grads + weight_decay * params)
