"""The textbook in plain NumPy: a twin for each kernel, in the file of the same name.

Kernels are in ``chainrule.kernels`` and ``chainrule.operations``; a twin has a kernel's name and
arguments, and writes its result into the array that it is given for it. What is exported here is
the twin of ``chainrule.ops``: plain functions on arrays.
"""

from chainrule.reference.ops import (
    adam_update,
    adamw_update,
    bce_with_logits,
    clip_grad_norm,
    cross_entropy,
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    huber,
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    log_softmax,
    log_softmax_backward,
    matmul,
    mse,
    relu,
    relu_backward,
    sgd_update,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)

__all__ = [
    "adam_update",
    "adamw_update",
    "bce_with_logits",
    "clip_grad_norm",
    "cross_entropy",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "huber",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "mse",
    "relu",
    "relu_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]


def __dir__() -> list[str]:
    return sorted(__all__)
