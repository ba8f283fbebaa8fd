"""Some columns of a value, of its last axis."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map


@kernel
def slice_columns(x, column, y):
    rows, columns = y.shape
    for i in range(rows):
        row, place = y[i], x[i, column : column + columns]
        for j in range(columns):
            row[j] = place[j]


@kernel
def put_columns_among_zeros(dy, column, dx):
    zero = dx.dtype.type(0)
    for i in range(dx.shape[0]):
        row, columns = dx[i], dy[i]
        for j in range(row.size):
            row[j] = zero
        for j in range(columns.size):
            row[column + j] = columns[j]


OPERATION = Operation(
    "slice_columns",
    function(slice_columns),
    {"x": function(put_columns_among_zeros)},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
    sample={"column": 0},
)
