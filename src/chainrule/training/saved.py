"""A training's state in a checkpoint file: writing, reading, validating and restoring it."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.models.errors import ModelFileError
from chainrule.models.model_file import Contents, contents, read_contents, write_contents
from chainrule.optimizers import Optimizer
from chainrule.training.callbacks import Callbacks, State, Training, check_state
from chainrule.training.identity import (
    complete_optimizer,
    complete_schedule,
    describe_optimizer,
    differences,
)
from chainrule.training.started_epochs import StartedEpochs
from chainrule.utils.arguments import at_least_zero, integer
from chainrule.utils.arrays import all_finite

LISTS = "loss", "batch_loss", "validation_loss", "validation_accuracy", "lr", "seconds"

T = TypeVar("T")


def write(
    path: str | os.PathLike[str], run: dict[str, Any], calls: Callbacks, started: StartedEpochs
) -> None:
    """Write the training's present state; ``run`` describes what must be equal to resume it.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError, TypeError
        If the state could not be resumed from; an existing file is not changed.
    """
    training = calls.training
    net, optimizer = training.network, training.optimizer
    state = optimizer.state(net)
    what = contents(net.layers, net.dtype, net.named_values())
    plain, arrays = calls.states()
    what.training = {
        "run": run,
        "epoch": training.epoch,
        "step": training.step,
        "stopped": training.stop_requested,
        "begun_rows": started.rows,
        "begun_seconds": started.seconds,
        "optimizer": describe_optimizer(optimizer),
        "optimizer_step": state.step,
        "frozen": list(net.frozen),
        "callbacks": plain,
    }
    what.tensors = {
        "optimizer": state.vectors,
        "begun_weights": started.all_weights,
        **{f"history.{name}": np.array(getattr(training.history, name), float) for name in LISTS},
        **{f"metrics.{k}": np.array(v, float) for k, v in training.history.metrics.items()},
        **{f"callbacks.{name}": value for name, value in arrays.items()},
    }
    if training.average is not None:
        what.tensors["average"] = training.average.network.params
    for name in ("optimizer", "average"):
        if name in what.tensors and not all_finite(what.tensors[name]):
            raise ValueError(f"{name} holds NaN or infinity")
    write_contents(path, what)


@dataclass
class Saved:
    """A validated training from a checkpoint.

    Attributes
    ----------
    run : dict
        What must be equal to resume it.
    callbacks : dict
        The state of each callback that has one.
    """

    run: dict[str, Any]
    callbacks: dict[str, State]
    started: StartedEpochs
    _file: Contents
    _stopped: bool
    _numbers: dict[str, Any]
    _optimizer_step: int
    _frozen: list[str]
    _epoch: int
    _step: int

    def restore(self, training: Training) -> None:
        """Restore network, optimizer and history. All of it was validated, so nothing can fail."""
        net, optimizer = training.network, training.optimizer
        net.invalidate_forward("fit")
        for name, view in net.named_values().items():
            view[...] = self._file.parameters[name]
        optimizer.set_hyperparameters(self._numbers)
        net.unfreeze()
        if self._frozen:
            net.freeze(*self._frozen)
        state = optimizer.state(net)
        state.vectors[:] = self._file.tensors["optimizer"]
        state.steps[0] = self._optimizer_step
        if training.average is not None:
            training.average.network.params = self._file.tensors["average"]
            training.average.copy_buffers()
        for name in LISTS:
            getattr(training.history, name)[:] = self._file.tensors[f"history.{name}"].tolist()
        for name in self.run["metrics"]:
            values = self._file.tensors.get(f"metrics.{name}", np.zeros(0))
            training.history.metrics[name] = values.tolist()
        training.epoch, training.step = self._epoch, self._step
        if self._stopped:
            training.stop()


def read(path: str | os.PathLike[str], run: dict[str, Any], training: Training) -> Saved:
    """Return the training that the file holds, after validation.

    Raises
    ------
    ModelFileError
        If it is no checkpoint, or a damaged one.
    ValueError
        If it is the checkpoint of another training.
    OSError
        If it cannot be read.
    """
    return _CheckpointReader(path, read_contents(path)).saved(run, training)


class _CheckpointReader:
    """Reads and validates a file's entries."""

    def __init__(self, path: str | os.PathLike[str], file: Contents) -> None:
        self._path, self._file = os.fspath(path), file
        if file.training is None:
            raise self._wrong("it is a saved model, not the checkpoint of a training")
        self._plain = file.training

    def _wrong(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self._path} cannot be resumed from: {what}.")

    def saved(self, run: dict[str, Any], training: Training) -> Saved:
        then = {"frozen": []} | self._entry("run", _dict)  # older checkpoints have none
        optimizer = complete_optimizer(self._entry("optimizer", _dict), training.optimizer)
        if isinstance(then.get("optimizer"), dict):
            was = complete_optimizer(then["optimizer"], training.optimizer)
            then = then | {"optimizer": was}
        if isinstance(then.get("schedule"), str):
            then = then | {"schedule": complete_schedule(then["schedule"])}
        self._compare(run, then, optimizer, training)
        epoch, step = self._entry("epoch", _count), self._entry("step", _count)
        if training.epochs < epoch:
            raise ValueError(
                f"epochs is {training.epochs}, but the training in {self._path} has done {epoch}."
            )
        steps_an_epoch = -(-training.rows // training.batch_size)
        started_steps = step - epoch * steps_an_epoch
        if self._entry("begun_rows", _count) != started_steps * training.batch_size:
            raise self._wrong("epoch, step and rows contradict each other")
        if not 0 <= started_steps < steps_an_epoch:
            raise self._wrong(f"step {step} is not in the epoch after {epoch} of them")
        self._check_history(epoch, step)
        weights = self._array("begun_weights", np.float64, (started_steps,))
        losses = self._file.tensors["history.batch_loss"][step - started_steps :]
        started = StartedEpochs.after(
            started_steps * training.batch_size,
            weights,
            losses,
            self._entry("begun_seconds", at_least_zero),
        )
        twin = self._optimizer(optimizer, training)
        vectors = twin.state_vectors, training.network.params.size
        self._array("optimizer", training.network.dtype, vectors)
        if training.average is not None:
            self._array("average", training.network.dtype, training.network.params.shape)
        return Saved(
            then,
            self._callbacks(),
            started,
            self._file,
            self._entry("stopped", _bool),
            twin.hyperparameters(),
            self._entry("optimizer_step", _count),
            self._frozen_names(training),
            epoch,
            step,
        )

    def _compare(
        self,
        run: dict[str, Any],
        then: dict[str, Any],
        optimizer: dict[str, Any],
        training: Training,
    ) -> None:
        net = training.network
        # They may still be as a callback made them.
        if run.get("optimizer") == optimizer:
            run = run | {"optimizer": then.get("optimizer")}
        if run["frozen"] == self._plain.get("frozen"):
            run = run | {"frozen": then["frozen"]}
        found = differences(run, then)
        now = contents(net.layers, net.dtype, {})
        if (now.layers, now.dtype) != (self._file.layers, self._file.dtype):
            found.insert(0, "the network has other layers, or another dtype")
        if found:
            raise ValueError(
                f"{self._path} is the checkpoint of another training, so this one cannot resume "
                f"from it: {'; '.join(found)}."
            )

    def _optimizer(self, optimizer: dict[str, Any], training: Training) -> Optimizer:
        """Return a copy of the training's optimizer, with the file's numbers."""
        twin, dtype = copy(training.optimizer), training.network.dtype
        kind = type(twin).__name__
        try:
            if optimizer["kind"] != kind:
                raise ValueError(f"{optimizer['kind']!r} is no {kind}")
            if optimizer["numbers"].keys() != twin.hyperparameters().keys():
                raise ValueError(f"its hyperparameters are {', '.join(optimizer['numbers'])}")
            twin.set_hyperparameters(optimizer["numbers"])
            twin.check_numbers(dtype)
            return twin
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._wrong(f"its optimizer is not readable: {error}") from None

    def _frozen_names(self, training: Training) -> list[str]:
        names = self._plain.get("frozen", [])
        known = list(training.network.parameters())
        if not isinstance(names, list) or not all(name in known for name in names):
            raise self._wrong(f"it has frozen parameters {names!r}, which the network has not")
        return names

    def _check_history(self, epoch: int, step: int) -> None:
        lengths = {"batch_loss": {step}, "loss": {epoch}, "seconds": {epoch}, "lr": {epoch}}
        metrics = [name for name in self._file.tensors if name.startswith("metrics.")]
        for name in (*(f"history.{name}" for name in LISTS), *metrics):
            values = self._array(name, np.float64, None)
            if values.ndim != 1 or len(values) not in lengths.get(
                name.removeprefix("history."), {0, epoch}
            ):
                raise self._wrong(f"{name} has shape {values.shape} after {epoch} epochs")

    def _callbacks(self) -> dict[str, State]:
        states: dict[str, State] = {}
        for name, plain in self._entry("callbacks", _dict).items():
            if not isinstance(plain, dict):
                raise self._wrong(f"the state of {name} is no dict")
            start = f"callbacks.{name}."
            arrays = {
                key.removeprefix(start): value
                for key, value in self._file.tensors.items()
                if key.startswith(start)
            }
            states[name] = plain | arrays
            try:
                check_state(states[name], f"the state of {name}")
            except (TypeError, ValueError) as error:
                raise self._wrong(str(error).rstrip(".")) from None
        return states

    def _entry(self, name: str, check: Callable[[Any, str], T]) -> T:
        try:
            return check(self._plain.get(name), name)
        except (TypeError, ValueError) as error:
            raise self._wrong(str(error).rstrip(".")) from None

    def _array(self, name: str, dtype: Any, shape: tuple[int, ...] | None) -> NDArray[Any]:
        array = self._file.tensors.get(name)
        if array is None:
            raise self._wrong(f"it lacks {name}")
        if array.dtype != dtype or (shape is not None and array.shape != shape):
            raise self._wrong(f"{name} has shape {array.shape} and dtype {array.dtype}")
        if not name.startswith(("history.", "metrics.")) and not all_finite(array):
            raise self._wrong(f"{name} holds NaN or infinity")
        return array


def _count(value: Any, name: str) -> int:
    count = integer(value, name, least=0)
    if count >= 1 << 62:
        raise ValueError(f"{name} is too large: {count}")
    return count


def _bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, not {value!r}")
    return value


def _dict(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a dict, not {value!r}")
    return value
