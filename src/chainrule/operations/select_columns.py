"""Columns of a value's last axis by their numbers, in any order."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map


@kernel
def select_columns(x, selected, y):
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        for j in range(selected.size):
            out[j] = row[int(selected[j])]


@kernel
def select_columns_backward(dy, selected, dx):
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        row, out = dy[i], dx[i]
        for j in range(out.size):
            out[j] = zero
        for j in range(selected.size):
            out[int(selected[j])] += row[j]


OPERATION = Operation(
    "select_columns",
    function(select_columns),
    {"x": function(select_columns_backward)},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
    sample={"selected": (1.0, 0.0)},
)
