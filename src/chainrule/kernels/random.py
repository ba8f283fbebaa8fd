"""Random orders, from random numbers that the caller brings."""

from chainrule.kernels.jit import kernel


@kernel
def shuffle(uniform, order):
    for i in range(order.size):
        j = int(uniform[i] * (i + 1))
        order[i] = order[j]
        order[j] = i
