"""Columns of a value's last axis by their numbers, in any order."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map


@kernel
def pick_columns(x, picked, y):
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        for j in range(picked.size):
            out[j] = row[int(picked[j])]


@kernel
def pick_columns_backward(dy, picked, dx):
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        row, out = dy[i], dx[i]
        for j in range(out.size):
            out[j] = zero
        for j in range(picked.size):
            out[int(picked[j])] += row[j]


OPERATION = Operation(
    "pick_columns",
    function(pick_columns),
    {"x": function(pick_columns_backward)},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
    sample={"picked": (1.0, 0.0)},
)
