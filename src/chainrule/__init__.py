"""chainrule trains neural networks on NumPy arrays: backpropagation, fast, verified and visible."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule import datasets, initializers, layers, losses, metrics, optimizers, reference
from chainrule._version import __version__
from chainrule.callbacks import Callback
from chainrule.errors import GradientMismatch, ModelFileError, NonFiniteError
from chainrule.explain import GradientFlow, explain, nudge
from chainrule.gradcheck import GradientReport, gradcheck
from chainrule.history import History
from chainrule.layers import (
    ELU,
    GELU,
    Activation,
    Branch,
    CompiledLayer,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    NumPyLayer,
    Parallel,
    Parameter,
    ReLU,
    Rescale,
    Residual,
    Shared,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from chainrule.losses import BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, MSELoss
from chainrule.multi_loss import MultiLoss
from chainrule.network import Sequential
from chainrule.objective import Objective, objective
from chainrule.optimizers import SGD, Adam, AdamW
from chainrule.own_losses import CompiledLoss, NumPyLoss
from chainrule.saving import load
from chainrule.threads import get_num_threads, set_num_threads, threads
from chainrule.training import fit

if TYPE_CHECKING:
    from chainrule import ops

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "BCEWithLogitsLoss",
    "Branch",
    "Callback",
    "CompiledLayer",
    "CompiledLoss",
    "CrossEntropyLoss",
    "Flatten",
    "GradientFlow",
    "GradientMismatch",
    "GradientReport",
    "History",
    "HuberLoss",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "ModelFileError",
    "MultiLoss",
    "NonFiniteError",
    "NumPyLayer",
    "NumPyLoss",
    "Objective",
    "Parallel",
    "Parameter",
    "ReLU",
    "Rescale",
    "Residual",
    "Sequential",
    "Shared",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "__version__",
    "datasets",
    "explain",
    "fit",
    "get_num_threads",
    "gradcheck",
    "initializers",
    "layers",
    "load",
    "losses",
    "metrics",
    "nudge",
    "objective",
    "ops",
    "optimizers",
    "reference",
    "set_num_threads",
    "threads",
]


def __getattr__(name: str) -> Any:
    """Import ``ops`` on its first use: it loads Numba."""
    if name == "ops":
        return import_module("chainrule.ops")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name ``ops`` before its first use, too."""
    return sorted({*globals(), *__all__})
