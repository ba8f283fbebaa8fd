# Written by tests/ops/stub.py.
from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from chainrule.ops.affine import linear as linear
from chainrule.ops.affine import linear_backward as linear_backward
from chainrule.ops.affine import matmul as matmul
from chainrule.ops.prelu import prelu as prelu
from chainrule.ops.prelu import prelu_backward as prelu_backward
from chainrule.ops.update import Arrays
from chainrule.ops.update import clip_grad_norm as clip_grad_norm
from chainrule.ops.update import sgd_update as sgd_update

__all__ = [
    "adagrad_update",
    "adam_update",
    "adamw_update",
    "bce_with_logits",
    "clip_grad_norm",
    "cross_entropy",
    "elu",
    "elu_backward",
    "gaussian_nll",
    "gelu",
    "gelu_backward",
    "glu",
    "glu_backward",
    "hardswish",
    "hardswish_backward",
    "huber",
    "l1",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "lion_update",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "mish",
    "mish_backward",
    "mse",
    "nadam_update",
    "poisson_nll",
    "prelu",
    "prelu_backward",
    "quantile",
    "relu",
    "relu_backward",
    "rmsprop_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "softsign",
    "softsign_backward",
    "tanh",
    "tanh_backward",
]

def adagrad_update(
    params: Arrays,
    grads: Arrays,
    root: Arrays,
    *,
    step: int,
    lr: float = 0.01,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    eps: float = 1e-10,
) -> None: ...
def adam_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    square: Arrays,
    largest: Arrays | None = None,
    *,
    step: int,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-08,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> None: ...
def adamw_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    square: Arrays,
    largest: Arrays | None = None,
    *,
    step: int,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-08,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
) -> None: ...
def bce_with_logits(
    output: ArrayLike,
    target: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    pos_weight: ArrayLike | None = None,
    out: Any = None,
) -> tuple[float, Any]: ...
def cross_entropy(
    output: ArrayLike,
    label: ArrayLike,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    *,
    weight: ArrayLike | None = None,
    out: Any = None,
) -> tuple[float, Any]: ...
def elu(x: ArrayLike, alpha: float = 1.0, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def elu_backward(
    dy: ArrayLike, y: ArrayLike, alpha: float = 1.0, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def gaussian_nll(
    output: ArrayLike,
    target: ArrayLike,
    full: bool = False,
    eps: float = 1e-06,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]: ...
def gelu(
    x: ArrayLike,
    approximate: Literal["none", "tanh"] = "none",
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any: ...
def gelu_backward(
    dy: ArrayLike,
    x: ArrayLike,
    approximate: Literal["none", "tanh"] = "none",
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any: ...
def glu(x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any: ...
def glu_backward(dy: ArrayLike, x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any: ...
def hardswish(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def hardswish_backward(
    dy: ArrayLike, x: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def huber(
    output: ArrayLike,
    target: ArrayLike,
    delta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]: ...
def l1(
    output: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None, *, out: Any = None
) -> tuple[float, Any]: ...
def leaky_relu(
    x: ArrayLike, negative_slope: float = 0.01, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def leaky_relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    negative_slope: float = 0.01,
    *,
    out: Any = None,
    where: ArrayLike = True,
) -> Any: ...
def lion_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    *,
    lr: float = 0.0001,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
) -> None: ...
def log_softmax(x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any: ...
def log_softmax_backward(
    dy: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Any = None
) -> Any: ...
def mish(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def mish_backward(
    dy: ArrayLike, x: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def mse(
    output: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None, *, out: Any = None
) -> tuple[float, Any]: ...
def nadam_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    square: Arrays,
    *,
    step: int,
    lr: float = 0.002,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-08,
    weight_decay: float = 0.0,
    momentum_decay: float = 0.004,
    decoupled_weight_decay: bool = False,
) -> None: ...
def poisson_nll(
    output: ArrayLike,
    target: ArrayLike,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-08,
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]: ...
def quantile(
    output: ArrayLike,
    target: ArrayLike,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    sample_weight: ArrayLike | None = None,
    *,
    out: Any = None,
) -> tuple[float, Any]: ...
def relu(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def relu_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def rmsprop_update(
    params: Arrays,
    grads: Arrays,
    square: Arrays,
    mean: Arrays | None = None,
    velocity: Arrays | None = None,
    *,
    lr: float = 0.01,
    alpha: float = 0.99,
    eps: float = 1e-08,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> None: ...
def sigmoid(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def sigmoid_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def silu(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def silu_backward(
    dy: ArrayLike, x: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def softmax(x: ArrayLike, axis: int = -1, *, out: Any = None) -> Any: ...
def softmax_backward(dy: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Any = None) -> Any: ...
def softplus(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def softplus_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def softsign(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def softsign_backward(
    dy: ArrayLike, x: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
def tanh(x: ArrayLike, *, out: Any = None, where: ArrayLike = True) -> Any: ...
def tanh_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Any = None, where: ArrayLike = True
) -> Any: ...
