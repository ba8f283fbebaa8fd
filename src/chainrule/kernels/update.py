"""What comes before and after an optimizer's rule: rates, gradients that are left out, averages."""

from chainrule.kernels.jit import kernel


@kernel
def scale_lr(lr, factor, scaled):
    scaled[0] = lr * factor


@kernel
def fill_zeros(grads):
    zero = grads.dtype.type(0)
    for i in range(grads.size):
        grads[i] = zero


@kernel
def average_update(params, average, decay):
    weight = params.dtype.type(1.0 - decay)
    for i in range(params.size):
        average[i] += weight * (params[i] - average[i])
