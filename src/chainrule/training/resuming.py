"""Starting a training with a checkpoint file, or resuming it from one."""

from __future__ import annotations

import os
from typing import Any

from chainrule.models.errors import ModelFileError
from chainrule.training import saved
from chainrule.training.callbacks import Callbacks
from chainrule.training.checkpoint import Checkpoint, Saver
from chainrule.training.epoch_runner import EpochRunner


def begin(
    checkpoint: Checkpoint | str | os.PathLike[str],
    resume: bool,
    run: dict[str, Any],
    calls: Callbacks,
    runner: EpochRunner,
) -> Saver:
    """Start a training, or resume it if ``resume`` and the file exists; return its saver."""
    path = checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint
    is_new = not (resume and os.path.exists(path))
    if is_new:
        calls.begin()
    else:
        found = saved.read(path, run, calls.training)
        run = found.run
        _restore(path, found, calls)
        runner.resume_from(found.started)
    saver = Saver(checkpoint, calls.training, lambda: saved.write(path, run, calls, runner.started))
    if is_new:
        saver.first()
    return saver


def _restore(path: str | os.PathLike[str], found: saved.Saved, calls: Callbacks) -> None:
    """Restore all of the training, or nothing if a callback does not accept its state."""
    network, optimizer = calls.training.network, calls.training.optimizer
    state = optimizer.state(network)
    values, before, numbers = network.values.copy(), state.copy(), optimizer.hyperparameters()
    frozen = network.frozen
    average = calls.training.average
    averaged = None if average is None else average.network.values.copy()
    found.restore(calls.training)
    try:
        calls.begin(found.callbacks)
    except BaseException as error:
        network.values[:] = values
        optimizer.set_hyperparameters(numbers)
        network.unfreeze()
        if frozen:
            network.freeze(*frozen)
        state.restore(before)
        if average is not None and averaged is not None:
            average.network.values[:] = averaged
            average.network.invalidate_forward("fit")
        if isinstance(error, ValueError):
            raise ModelFileError(f"{os.fspath(path)} cannot be resumed from: {error}") from error
        raise
