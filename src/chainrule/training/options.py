"""The options of a training, checked before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.autodiff.validation import check_loss
from chainrule.engine.backends import check_backend
from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Adam, Optimizer
from chainrule.training.averaging import ExponentialMovingAverage
from chainrule.training.callbacks import Callback, Callbacks
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.epoch_runner import Extras
from chainrule.training.metrics import Metrics, Validation, checked_metrics, checked_validation
from chainrule.training.schedules import ReduceLROnPlateau, Schedule
from chainrule.utils.arguments import (
    above_zero,
    between_zero_and_one,
    flag,
    integer,
    kind_hint,
    shortened,
)
from chainrule.utils.arrays import all_finite


@dataclass(frozen=True)
class Options:
    """The options of a training, as :func:`chainrule.fit` describes them."""

    loss: Loss
    optimizer: Optimizer
    epochs: int
    validation: DataSet | None
    validation_split: float | None
    metrics: dict[str, Any]
    schedule: Schedule | None
    callbacks: list[Callback]
    extras: Extras
    backend: str
    checkpoint: Checkpoint | str | os.PathLike[str] | None
    resume: bool


def checked_options(
    net: Sequential,
    loss: Loss,
    *,
    optimizer: Optimizer | None,
    epochs: int,
    seed: int,
    validation: Validation | None,
    validation_split: float | None,
    metrics: Metrics,
    schedule: Schedule | ReduceLROnPlateau | None,
    clip_norm: float | None,
    clip_value: float | None,
    average: ExponentialMovingAverage | None,
    callbacks: Sequence[Callback],
    backend: str | None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None,
    resume: bool,
) -> Options:
    """Return the options of :func:`chainrule.fit`, or raise its errors."""
    check_loss(net, loss)
    optimizer = Adam() if optimizer is None else optimizer
    _check_optimizer(net, optimizer)
    epochs = integer(epochs, "epochs", least=1)
    held_out = checked_validation(net, loss, validation)
    if validation_split is not None:
        validation_split = between_zero_and_one(validation_split, "validation_split")
        if held_out is not None:
            raise ValueError("fit takes validation or validation_split, not both.")
    seed = integer(seed, "seed", least=0)
    callbacks = Callbacks.checked(callbacks)
    resume = flag(resume, "resume")
    _check_checkpoint(checkpoint, resume)
    has_validation = held_out is not None or validation_split is not None
    metrics = checked_metrics(metrics, has_validation)
    if isinstance(schedule, ReduceLROnPlateau):
        callbacks, schedule = [*callbacks, schedule], None
    elif not (schedule is None or isinstance(schedule, Schedule)):
        raise TypeError(
            "schedule must be one of cr.schedules, such as cr.schedules.StepLR(0.1, epochs=3), "
            f"not {shortened(schedule)}."
        )
    _check_average(net, average)
    extras = Extras(
        0.0 if clip_norm is None else above_zero(clip_norm, "clip_norm", net.dtype),
        0.0 if clip_value is None else above_zero(clip_value, "clip_value", net.dtype),
        average,
        seed,
    )
    return Options(
        loss,
        optimizer,
        epochs,
        held_out,
        validation_split,
        metrics,
        schedule,
        callbacks,
        extras,
        check_backend(backend or net.backend),
        checkpoint,
        resume,
    )


def _check_optimizer(net: Sequential, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an optimizer such as cr.Adam(), not {shortened(optimizer)}."
            f"{kind_hint(optimizer)}"
        )
    for name, values in (("net.params", net.params), ("net.buffers()", net.values)):
        if not all_finite(values):
            raise ValueError(f"{name} must be finite before the training starts.")
    if not all_finite(optimizer.state(net).vectors):
        raise ValueError(
            "optimizer holds NaN or infinity from earlier steps of this network: use a new one."
        )


def _check_checkpoint(checkpoint: Any, resume: bool) -> None:
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike | Checkpoint):
        raise TypeError(
            f"checkpoint must be a path or a cr.Checkpoint, not {shortened(checkpoint)}."
        )
    if resume and checkpoint is None:
        raise ValueError("resume needs a checkpoint: the file to resume from.")


def _check_average(net: Sequential, average: Any) -> None:
    if average is None:
        return
    if not isinstance(average, ExponentialMovingAverage):
        raise TypeError(f"average must be a cr.ExponentialMovingAverage, not {shortened(average)}.")
    if average.source is not net:
        raise ValueError("average must follow the network that is trained, not another one.")
    if not all_finite(average.network.params):
        raise ValueError("average.network.params must be finite before the training starts.")
