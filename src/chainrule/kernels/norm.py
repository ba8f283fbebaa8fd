"""The length of a vector."""

from chainrule.kernels.jit import kernel


@kernel
def sum_of_squares(x):
    total = 0.0
    for i in range(x.size):
        number = float(x[i])
        total += number * number
    return total
