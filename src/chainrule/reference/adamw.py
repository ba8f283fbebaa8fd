"""AdamW, by the formula of torch.optim."""

from chainrule.reference.adam import adam_step


def adamw_update(
    params,
    grads,
    mean,
    square,
    largest=None,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=1e-2,
    amsgrad=False,
    step=1,
):
    """Shrink the weights, then take Adam's step: decoupled decay (Loshchilov and Hutter)."""
    numbers = lr, beta1, beta2, eps, 0.0, 1 - lr * weight_decay, amsgrad, step
    adam_step(params, grads, mean, square, largest, *numbers)
