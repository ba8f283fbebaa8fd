"""The average that follows the parameters, after an optimizer's step."""

from chainrule.kernels.jit import kernel


@kernel
def average_update(params, average, decay):
    weight = params.dtype.type(1.0 - decay)
    for i in range(params.size):
        average[i] += weight * (params[i] - average[i])
