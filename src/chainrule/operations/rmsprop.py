"""RMSprop: steps by the gradient over the root of its running square, or of its variance."""

import math

from chainrule.kernels.elementary import reciprocal
from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def rmsprop_update(
    params, grads, square, mean, velocity, lr, alpha, eps, weight_decay, momentum, centered
):
    # The variance, the running square less the running mean's, is computed without them: it is
    # never below 0, and rounding does not eat it up. With V the variance and M the mean so far,
    # the next one is alpha * V + alpha * (1 - alpha) * (g - M)**2.
    # Scaled before it is squared, and NaN where s overflows: see adam.py.
    number, has_momentum = params.dtype.type, momentum > 0.0
    lr, eps = number(lr), number(eps)
    weight_decay, momentum = number(weight_decay), number(momentum)
    keep, take, zero = number(alpha), number(1.0 - alpha), number(0.0)
    scale = number(math.sqrt(alpha * (1.0 - alpha) if centered else 1.0 - alpha))
    for i in range(params.size):
        g = grads[i] + weight_decay * params[i]
        deviation = g
        if centered:
            deviation = g - mean[i]
            mean[i] += take * deviation
        scaled = scale * deviation
        s = keep * square[i] + scaled * scaled
        square[i] = s
        v = g * reciprocal(math.sqrt(s) + eps)
        if has_momentum:
            v += momentum * velocity[i]
            velocity[i] = v
        params[i] = params[i] - lr * v + zero * s


OPERATION = UpdateOperation(
    "rmsprop",
    function(rmsprop_update),
    ("square", "mean", "velocity"),
    optional={"mean": "centered", "velocity": "momentum"},
    sample={"centered": False},
)
