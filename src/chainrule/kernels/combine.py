"""Sums of gradients: over the paths from a value to the loss, and over chunks of the batch."""

from chainrule.kernels.jit import kernel


@kernel
def accumulate(x, y):
    for i in range(x.size):
        y[i] += x[i]


@kernel
def add_up(parts, column, adds, out):
    for j in range(out.size):
        total = parts[0, column + j]
        for i in range(1, parts.shape[0]):
            total += parts[i, column + j]
        out[j] = out[j] + total if adds else total
