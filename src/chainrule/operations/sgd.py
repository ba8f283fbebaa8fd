"""Stochastic gradient descent, with momentum."""

from chainrule.kernels.jit import kernel
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def sgd_update(params, grads, velocity, lr, momentum, weight_decay, nesterov):
    number, has_momentum = params.dtype.type, momentum > 0.0
    lr, momentum, weight_decay = number(lr), number(momentum), number(weight_decay)
    for i in range(params.size):
        g = grads[i] + weight_decay * params[i]
        v = g
        if has_momentum:
            v += momentum * velocity[i]
            velocity[i] = v
        params[i] -= lr * (g + momentum * v if nesterov else v)


@kernel
def sgd_update_without_momentum(params, grads, lr, weight_decay):
    lr, weight_decay = params.dtype.type(lr), params.dtype.type(weight_decay)
    for i in range(params.size):
        params[i] -= lr * (grads[i] + weight_decay * params[i])


@kernel
def sgd_of_rows(params, grads, rows, begin, lr):
    lr, zero = params.dtype.type(lr), params.dtype.type(0)
    for i in range(rows.size):
        number = int(rows[i]) - begin
        if 0 <= number < params.shape[0]:
            row, gradient = params[number], grads[number]
            for d in range(row.size):
                row[d] -= lr * gradient[d]
                gradient[d] = zero  # so that a row that comes again stays as it is


OPERATION = UpdateOperation(
    "sgd",
    function(sgd_update),
    ("velocity",),
    optional={"velocity": "momentum"},
    of_rows=function(sgd_of_rows),
    of_rows_without=("momentum",),
    sample={"nesterov": False},
)
