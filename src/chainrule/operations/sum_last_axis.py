"""The sum along the last axis, in each place of that axis."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map


@kernel
def sum_last_axis(x, y):
    for i in range(x.shape[0]):
        source, row = x[i], y[i]
        total = x.dtype.type(0)
        for j in range(source.size):
            total += source[j]
        for j in range(source.size):
            row[j] = total


OPERATION = Operation(
    "sum_last_axis",
    function(sum_last_axis),
    {"x": function(sum_last_axis, "dy", "dx")},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
)
