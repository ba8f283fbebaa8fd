"""A training begins, or goes on from its checkpoint."""

from __future__ import annotations

import os
from typing import Any

from chainrule.models.errors import ModelFileError
from chainrule.training import saved
from chainrule.training.callbacks import Callbacks
from chainrule.training.checkpoint import Checkpoint, Saver
from chainrule.training.trainer import Trainer


def begin(
    checkpoint: Checkpoint | str | os.PathLike[str],
    resume: bool,
    run: dict[str, Any],
    calls: Callbacks,
    trainer: Trainer,
) -> Saver:
    """Begin, or go on from the file if it is wanted and there; return what writes it."""
    path = checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint
    anew = not (resume and os.path.exists(path))
    if anew:
        calls.begin()
    else:
        found = saved.read(path, run, calls.training)
        run = found.run
        _go_on(path, found, calls)
        trainer.go_on_from(found.begun)
    saver = Saver(checkpoint, calls.training, lambda: saved.write(path, run, calls, trainer.begun))
    if anew:
        saver.first()
    return saver


def _go_on(path: str | os.PathLike[str], found: saved.Saved, calls: Callbacks) -> None:
    """Restore everything; or nothing, if a callback does not accept its state."""
    network, optimizer = calls.training.network, calls.training.optimizer
    state = optimizer.state(network)
    params, before, numbers = network.params.copy(), state.copy(), optimizer.hyperparameters()
    average = calls.training.average
    averaged = None if average is None else average.network.params.copy()
    found.restore(calls.training)
    try:
        calls.begin(found.callbacks)
    except BaseException as error:
        network.params[:] = params
        optimizer.set_hyperparameters(numbers)
        state.restore(before)
        if average is not None and averaged is not None:
            average.network.params = averaged
        if isinstance(error, ValueError):
            raise ModelFileError(f"{os.fspath(path)} cannot be resumed from: {error}") from error
        raise
