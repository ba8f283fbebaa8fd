"""The sum over a group of channels, and all places of a sample, in each of these places.

A part of the tangent of group normalization, whose rows are the same.
"""

from chainrule.kernels.jit import kernel
from chainrule.operations.group_norm import add_up_groups, scratch_bytes
from chainrule.operations.operation import Operation, View, function, tangent_of_linear_map


@kernel
def sum_groups(x, groups, channels, scratch, y):
    zero, one, size = x.dtype.type(0), x.dtype.type(1), x.shape[1]
    sums = scratch[:channels]
    for i in range(x.shape[0]):
        for j in range(channels):
            sums[j] = zero
        for begin in range(0, size, channels):
            place = x[i, begin : begin + channels]
            for j in range(channels):
                sums[j] += place[j]
        add_up_groups(sums, groups, one)
        for begin in range(0, size, channels):
            out = y[i, begin : begin + channels]
            for j in range(channels):
                out[j] = sums[j]


OPERATION = Operation(
    "sum_groups",
    function(sum_groups),
    {"x": function(sum_groups, "dy", "groups", "channels", "scratch", "dx")},
    view=View.LAST_AXIS,
    tangent=tangent_of_linear_map,
    scratch_bytes=scratch_bytes,
    sample={"groups": 1, "channels": 2},
)
