"""AdamW: Adam with decoupled weight decay."""

from chainrule.kernels.jit import kernel
from chainrule.operations.adam import adam_step
from chainrule.operations.operation import function
from chainrule.operations.update import UpdateOperation


@kernel
def adamw_update(
    params, grads, mean, square, largest, lr, beta1, beta2, eps, weight_decay, amsgrad, step
):
    numbers = lr, beta1, beta2, eps, 0.0, 1.0 - lr * weight_decay, amsgrad, step
    adam_step(params, grads, mean, square, largest, *numbers)


OPERATION = UpdateOperation(
    "adamw",
    function(adamw_update),
    ("mean", "square", "largest"),
    optional={"largest": "amsgrad"},
    sample={"amsgrad": False},
)
