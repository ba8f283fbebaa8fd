"""The length of a vector."""

import numpy as np

from chainrule.kernels.jit import kernel


@kernel
def sum_of_squares(x):
    total = 0.0
    for i in range(x.size):
        number = np.float64(x[i])  # float() keeps float32
        total += number * number
    return total
