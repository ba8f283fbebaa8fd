"""chainrule trains neural networks on NumPy arrays: backpropagation, fast, verified and visible."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import datasets, interop, layers, losses, optimizers
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
from chainrule.checks import GradientMismatch, GradientReport, gradcheck, gradgradcheck
from chainrule.explain import GradientFlow, explain, nudge
from chainrule.interop.scipy import Objective, objective
from chainrule.layers import *
from chainrule.layers import Activation, CompiledLayer, NumPyLayer, Parameter, initializers
from chainrule.losses import *
from chainrule.losses import metrics
from chainrule.losses.custom_losses import CompiledLoss, NumPyLoss
from chainrule.losses.multi_loss import MultiLoss
from chainrule.models.errors import ModelFileError
from chainrule.models.saving import load, load_metadata
from chainrule.models.sequential import Sequential
from chainrule.optimizers import *
from chainrule.training import Checkpoint, callbacks, fit, schedules
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.callbacks import Callback
from chainrule.training.clipping import clip_grad_norm, clip_grad_value
from chainrule.training.errors import NonFiniteError
from chainrule.training.find_lr import find_lr
from chainrule.training.history import History
from chainrule.training.train_step import train_step
from chainrule.utils.other_names import hint_for
from chainrule.utils.public import listing
from chainrule.utils.threads import get_num_threads, set_num_threads, threads
from chainrule.utils.version import __version__

if TYPE_CHECKING:
    from chainrule import ops, reference
    from chainrule.interop.onnx import from_onnx

# Public modules that lie in a folder are imported like those beside them.
sys.modules.update(
    {
        f"{__name__}.{name}": globals()[name]
        for name in ("callbacks", "initializers", "metrics", "schedules")
    }
)

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
    "train_step",
    "value_and_grad",
    "vjp",
]
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__

__dir__ = listing(__all__)


def __getattr__(name: str) -> Any:
    """Import functions on arrays (``ops`` loads Numba) and what is about ONNX on first use."""
    if name == "from_onnx":
        return import_module("chainrule.interop.onnx").from_onnx
    if name in ("ops", "reference"):
        return import_module(f"chainrule.{name}")
    hint = hint_for(name)
    for module in (callbacks, initializers, metrics, schedules):
        hint = (
            f"it is cr.{module.__name__.split('.')[-1]}.{name}" if name in module.__all__ else hint
        )
    ending = f": {hint}." if hint else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{ending}")
