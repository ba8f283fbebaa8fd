"""chainrule trains neural networks on NumPy arrays: backpropagation, fast, verified and visible."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import (
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    reference,
    schedules,
)
from chainrule._version import __version__
from chainrule.autodiff import (
    clipped_grad,
    fisher_vp,
    gauss_newton_vp,
    hessian,
    hessian_x,
    hvp,
    input_derivatives,
    input_gradient,
    jacobian,
    jvp,
    laplacian,
    per_sample_grad,
    per_sample_norms,
    value_and_grad,
    vjp,
)
from chainrule.averaging import ExponentialMovingAverage
from chainrule.callbacks import Callback
from chainrule.clipping import clip_grad_norm, clip_grad_value
from chainrule.errors import GradientMismatch, ModelFileError, NonFiniteError
from chainrule.explain import GradientFlow, explain, nudge
from chainrule.find_lr import find_lr
from chainrule.gradcheck import GradientReport, gradcheck
from chainrule.gradgradcheck import gradgradcheck
from chainrule.history import History
from chainrule.layers import *
from chainrule.layers import Activation, CompiledLayer, NumPyLayer, Parameter
from chainrule.losses import *
from chainrule.multi_loss import MultiLoss
from chainrule.network import Sequential
from chainrule.objective import Objective, objective
from chainrule.optimizers import *
from chainrule.own_losses import CompiledLoss, NumPyLoss
from chainrule.saving import load, load_metadata
from chainrule.threads import get_num_threads, set_num_threads, threads
from chainrule.training import Checkpoint, fit

if TYPE_CHECKING:
    from chainrule import interop, ops
    from chainrule.interop.onnx import from_onnx

__all__ = [
    "Activation",
    "Callback",
    "Checkpoint",
    "CompiledLayer",
    "CompiledLoss",
    "ExponentialMovingAverage",
    "GradientFlow",
    "GradientMismatch",
    "GradientReport",
    "History",
    "ModelFileError",
    "MultiLoss",
    "NonFiniteError",
    "NumPyLayer",
    "NumPyLoss",
    "Objective",
    "Parameter",
    "Sequential",
    "__version__",
    "callbacks",
    "clip_grad_norm",
    "clip_grad_value",
    "clipped_grad",
    "datasets",
    "explain",
    "find_lr",
    "fisher_vp",
    "fit",
    "from_onnx",
    "gauss_newton_vp",
    "get_num_threads",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hessian_x",
    "hvp",
    "initializers",
    "input_derivatives",
    "input_gradient",
    "interop",
    "jacobian",
    "jvp",
    "laplacian",
    "layers",
    "load",
    "load_metadata",
    "losses",
    "metrics",
    "nudge",
    "objective",
    "ops",
    "optimizers",
    "per_sample_grad",
    "per_sample_norms",
    "reference",
    "schedules",
    "set_num_threads",
    "threads",
    "value_and_grad",
    "vjp",
]
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__


def __getattr__(name: str) -> Any:
    """Import ``ops``, which loads Numba, and what is about other packages on their first use."""
    if name == "from_onnx":
        return import_module("chainrule.interop.onnx").from_onnx
    if name in ("interop", "ops"):
        return import_module(f"chainrule.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is imported on its first use before that, too."""
    return sorted({*globals(), *__all__})
