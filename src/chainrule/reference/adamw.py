"""AdamW, by the formula of torch.optim."""

from chainrule.reference.adam import adam_step


def adamw_update(
    params, grads, mean, square, largest, lr, beta1, beta2, eps, weight_decay, amsgrad, step
):
    """Shrink the weights, then take Adam's step: decoupled decay (Loshchilov and Hutter)."""
    numbers = lr, beta1, beta2, eps, 0.0, 1 - lr * weight_decay, amsgrad, step
    adam_step(params, grads, mean, square, largest, *numbers)
