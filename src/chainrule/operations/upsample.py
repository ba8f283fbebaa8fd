"""Each pixel of an image as a block of pixels."""

from chainrule.kernels.jit import kernel
from chainrule.kernels.pooling import axes, give_all, inside, mean
from chainrule.operations.max_pool import SAMPLE
from chainrule.operations.operation import Operation, function, tangent_of_linear_map


@kernel
def upsample(x, window, y):
    of_rows, of_columns = axes(y.shape, window)
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        for a in range(x.shape[1]):
            rows = inside(a, of_rows)
            for b in range(x.shape[2]):
                give_all(y[i], rows, inside(b, of_columns), one, x[i, a, b], 0)


@kernel
def upsample_backward(dy, window, dx):
    of_rows, of_columns = axes(dy.shape, window)
    one = dy.dtype.type(1)
    for i in range(dx.shape[0]):
        for a in range(dx.shape[1]):
            rows = inside(a, of_rows)
            for b in range(dx.shape[2]):
                mean(dy[i], rows, inside(b, of_columns), one, dx[i, a, b])


OPERATION = Operation(
    "upsample",
    function(upsample),
    {"x": function(upsample_backward)},
    tangent=tangent_of_linear_map,
    sample=SAMPLE,
)
