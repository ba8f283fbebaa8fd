"""What softmax and losses do row by row.

Rows are mostly short: ten classes do not fill a vector. Whatever needs an elementary function is
therefore computed over all rows at once, as one flat vector, and only the rest row by row.
"""

from chainrule.kernels.jit import JIT_DISABLED, kernel
from chainrule.kernels.maximum import largest_of
from chainrule.kernels.views import flat


@kernel
def subtract_largest(x, y):
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        largest = largest_of(x.dtype.type(0), source.ctypes.data, source.size)
        for j in range(source.size):
            row[j] = source[j] - largest


@kernel
def entries_of_one_weight(weight, columns):
    differences = 0
    for i in range(weight.size):
        differences += weight[i] != weight[0]
    return max(1, columns if differences > 0 else weight.size * columns)


@kernel
def weighted_sum(x, weight):
    columns, elements = x.shape[1], flat(x)
    length = entries_of_one_weight(weight, columns)
    total = 0.0
    for begin in range(0, elements.size, length):
        part = elements[begin : begin + length]
        part_total = 0.0
        for k in range(length):
            part_total += part[k]
        total += weight[begin // columns] * part_total
    return total


@kernel
def scale_rows(x, weight, scale):
    for i in range(x.shape[0]):
        row = x[i]
        factor = x.dtype.type(scale * weight[i])
        for j in range(row.size):
            row[j] *= factor


if JIT_DISABLED:  # addresses are for machine code

    def subtract_largest(x, y):
        y[...] = x - x.max(axis=1, keepdims=True)
