"""Copy the rows of a mini-batch, in shuffled order, to where the plan expects them."""

from chainrule.kernels.jit import kernel


@kernel
def gather_rows(source, order, out):
    for i in range(order.size):
        row, destination = source[order[i]], out[i]
        for j in range(row.size):
            destination[j] = row[j]


@kernel
def gather_values(source, order, out):
    for i in range(order.size):
        out[i] = source[order[i]]
