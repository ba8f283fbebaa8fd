"""Copy rows: those of a mini-batch to where the plan expects them, and outputs to the caller."""

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


@kernel
def copy_rows(source, out):
    for i in range(source.shape[0]):
        row, destination = source[i], out[i]
        for j in range(row.size):
            destination[j] = row[j]
