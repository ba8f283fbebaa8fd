"""Callbacks for :func:`chainrule.fit`: the base class, and those for common tasks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule.training.callbacks.callback import Callback, Training
from chainrule.training.callbacks.callback import Callbacks as Callbacks
from chainrule.training.callbacks.callback import State as State
from chainrule.training.callbacks.callback import check_state as check_state
from chainrule.utils.public import listing

if TYPE_CHECKING:
    from chainrule.training.callbacks.csv_logger import CSVLogger
    from chainrule.training.callbacks.early_stopping import EarlyStopping
    from chainrule.training.callbacks.jsonl_logger import JSONLLogger
    from chainrule.training.callbacks.mlflow import MLflow
    from chainrule.training.callbacks.model_checkpoint import ModelCheckpoint
    from chainrule.training.callbacks.optuna_pruning import OptunaPruning
    from chainrule.training.callbacks.tensorboard import TensorBoard

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "JSONLLogger",
    "MLflow",
    "ModelCheckpoint",
    "OptunaPruning",
    "TensorBoard",
    "Training",
]

__dir__ = listing(__all__)

_MODULES = {  # loaded on first use
    "CSVLogger": "csv_logger",
    "EarlyStopping": "early_stopping",
    "JSONLLogger": "jsonl_logger",
    "MLflow": "mlflow",
    "ModelCheckpoint": "model_checkpoint",
    "OptunaPruning": "optuna_pruning",
    "TensorBoard": "tensorboard",
}


def __getattr__(name: str) -> Any:
    """Import a callback when it is first asked for."""
    if name in _MODULES:
        return getattr(import_module(f"chainrule.training.callbacks.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
