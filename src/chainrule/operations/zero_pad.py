"""An image among zeros, or the part of it that an output holds: padding, and cropping."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.shifted import copy_shifted
from chainrule.operations.operation import Operation, function, tangent_of_linear_map


@kernel
def zero_pad(x, before, y):
    for i in range(x.shape[0]):
        copy_shifted(x[i], -int(before[0]), 1, -int(before[1]), 1, y[i])


@kernel
def zero_pad_backward(dy, before, dx):
    for i in range(dx.shape[0]):
        copy_shifted(dy[i], int(before[0]), 1, int(before[1]), 1, dx[i])


OPERATION = Operation(
    "zero_pad",
    function(zero_pad),
    {"x": function(zero_pad_backward)},
    tangent=tangent_of_linear_map,
    sample={"shape": (1, 1, 1), "before": (1.0, 1.0)},
)
