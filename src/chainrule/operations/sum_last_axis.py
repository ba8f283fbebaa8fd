"""The sum along the last axis, in each place of that axis."""

from chainrule.kernels.curvature import sum_along_rows
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map

OPERATION = Operation(
    "sum_last_axis",
    function(sum_along_rows),
    {"x": function(sum_along_rows, "dy", "dx")},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
)
