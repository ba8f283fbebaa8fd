"""NAdam: Adam with Nesterov's momentum, which grows from step to step."""

import math

from chainrule.kernels.elementary import reciprocal
from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def momentum_product(beta1, momentum_decay, step):
    factor, share, product = 0.96**momentum_decay, 0.5, 1.0
    for _ in range(step):
        share *= factor
        product *= beta1 * (1.0 - share)
        if product < 2.0**-60:  # nothing beside 1, mostly after some 50 steps
            break
    return product


@kernel
def nadam_update(
    params,
    grads,
    mean,
    square,
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    momentum_decay,
    decoupled_weight_decay,
    step,
):
    # Both sides of the fraction times sqrt(correction), scaled before it is squared, and NaN where
    # s overflows: see adam.py.
    number = params.dtype.type
    momentum = beta1 * (1.0 - 0.5 * 0.96 ** (step * momentum_decay))
    next_momentum = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * momentum_decay))
    product = momentum_product(beta1, momentum_decay, step)
    root = math.sqrt(1.0 - beta2**step)
    rate_g = number(lr * root * (1.0 - momentum) / (1.0 - product))
    rate_m = number(lr * root * next_momentum / (1.0 - product * next_momentum))
    eps = number(eps * root)
    keep1, take1 = number(beta1), number(1.0 - beta1)
    keep2, take2 = number(beta2), number(math.sqrt(1.0 - beta2))
    penalty = number(0.0 if decoupled_weight_decay else weight_decay)
    shrink = number(1.0 - lr * weight_decay if decoupled_weight_decay else 1.0)
    zero = number(0.0)
    for i in range(params.size):
        g = grads[i] + penalty * params[i]
        taken = take2 * g
        m = keep1 * mean[i] + take1 * g
        s = keep2 * square[i] + taken * taken
        mean[i] = m
        square[i] = s
        movement = (rate_g * g + rate_m * m) * reciprocal(math.sqrt(s) + eps)
        params[i] = shrink * params[i] - movement + zero * s


OPERATION = UpdateOperation(
    "nadam",
    function(nadam_update),
    ("mean", "square"),
    sample={"decoupled_weight_decay": False},
)
