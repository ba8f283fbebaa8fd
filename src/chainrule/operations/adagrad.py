"""Adagrad: steps by the gradient over the root of the sum of all squares so far."""

import math

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def adagrad_update(params, grads, root, lr, lr_decay, weight_decay, eps, step):
    # The sum's root is kept instead of the sum: a square of float32 overflows above 1.8e19. The
    # next root is the length of the vector (root, g), whose larger element is taken out of it.
    # Where it overflows all the same, the parameter becomes NaN: see adam.py.
    number = params.dtype.type
    rate = number(lr / (1.0 + (step - 1) * lr_decay))
    eps, weight_decay = number(eps), number(weight_decay)
    zero, one = number(0.0), number(1.0)
    for i in range(params.size):
        g = grads[i] + weight_decay * params[i]
        size, r = abs(g), root[i]
        more, less = (size, r) if size > r else (r, size)
        ratio = less / (more if more > zero else one)
        r = more * math.sqrt(one + ratio * ratio)
        root[i] = r
        params[i] = params[i] - rate * g / (r + eps) + zero * r


OPERATION = UpdateOperation("adagrad", function(adagrad_update), ("root",))
