"""Training on batches from an iterable, one by one, instead of on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.losses import Loss
from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.optimizers import Optimizer
from chainrule.training.callbacks import Callbacks
from chainrule.training.epoch_runner import EpochRunner, Extras
from chainrule.training.progress import TrainingProgress
from chainrule.training.schedules import Schedule
from chainrule.training.slice_length import SLICE_SECONDS

Batches = Iterable[Any] | Callable[[], Iterable[Any]]

ONCE = (
    "{what}: each epoch iterates over the batches again. Give a function that returns them, as in "
    "fit(net, make_batches, ...), or a list."
)


def check_absent(**arguments: Any) -> None:
    """Raise ValueError if an argument is given that does not apply to an iterable of batches."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"{name} is for arrays X and y: without y, X is an iterable, which determines the "
                "size, order and weights of its batches, and cannot be resumed within an epoch."
            )


class Stream:
    """The batches of an iterable in each epoch, checked and copied, as their memory may be reused.

    The first batch is read at once, so that an error in it is raised before anything is changed;
    the first epoch begins with this batch.

    Parameters
    ----------
    net, loss
        The network and the loss, which the batches must fit.
    batches : iterable, or function that returns one
        Of (x, y) or (x, y, sample_weight).
    epochs : int
        How often it will be iterated over.

    Attributes
    ----------
    first : DataSet
    length : int or None
        Batches in an epoch, if that is known.
    """

    def __init__(self, net: Sequential, loss: Loss, batches: Any, epochs: int) -> None:
        # A batch is no array, so a list with arrays is X, for several inputs, or X and y.
        given = batches if isinstance(batches, tuple | list) else [batches]
        are_arrays = [hasattr(x, "__array__") or hasattr(x, "__dlpack__") for x in given]
        if any(are_arrays):
            is_only_x = all(are_arrays) and len(given) == net.graph.inputs
            hint = "" if is_only_x else " Give it after X: fit(net, X, y, ...)."
            raise TypeError(
                f"y is missing: only an iterable of batches (x, y) comes without it.{hint}"
            )
        if not callable(batches) and not hasattr(batches, "__iter__"):
            raise TypeError(
                "X must be an array, an iterable of batches (x, y), or a function that returns "
                f"one, not {batches!r}."
            )
        if isinstance(batches, Iterator) and epochs > 1:
            what = f"epochs is {epochs}, but a {type(batches).__name__} can be iterated over once"
            raise ValueError(ONCE.format(what=what))
        self._net, self._loss, self._batches = net, loss, batches
        self._shape: tuple[int, ...] | None = None
        self.length: int | None = length_hint(batches, 0) or None  # before one is taken
        self._first_epoch = self._checked(0)
        self.first = next(self._first_epoch)

    def epoch(self, number: int) -> Iterator[DataSet]:
        """Return the batches of an epoch, counted from 0."""
        if number > 0:
            return self._checked(number)
        return (batch for part in ([self.first], self._first_epoch) for batch in part)

    def _checked(self, epoch: int) -> Iterator[DataSet]:
        count = 0
        for count, given in enumerate(self._iterable(), 1):
            try:
                batch = self._batch(given)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"Batch {count} of epoch {epoch + 1}: {error}") from error
            yield batch
        if count == 0 and epoch == 0:
            raise ValueError("The iterable of batches is empty.")
        if count == 0:
            raise ValueError(ONCE.format(what=f"The iterable has no batches in epoch {epoch + 1}"))

    def _iterable(self) -> Iterable[Any]:
        given: Iterable[Any] = self._batches() if callable(self._batches) else self._batches
        if not hasattr(given, "__iter__"):
            raise TypeError(f"X, a function, must return an iterable of batches, not {given!r}.")
        return given

    def _batch(self, given: Any) -> DataSet:
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise TypeError(
                f"it must be (x, y) or (x, y, sample_weight), but it is a {type(given).__name__}"
                + (f" of {len(given)}." if isinstance(given, tuple | list) else ".")
            )
        x, y, weights = given if len(given) == 3 else (*given, None)
        batch = DataSet.checked(self._net, self._loss, x, y, weights, ("x", "y"))
        if batch.inputs.shape[1:] != (self._shape or batch.inputs.shape[1:]):
            raise ValueError(
                f"x's rows must have the shape of those before, {self._shape}, but have "
                f"{batch.inputs.shape[1:]}."
            )
        self._shape = batch.inputs.shape[1:]
        hint = " Leave the batch out, as a DataLoader with drop_last=True does."
        self._net.check_training_batch(batch.rows, self._shape, hint)
        return batch.copy()


class StreamEpochRunner(EpochRunner):
    """Runs a step for each batch of a stream."""

    steps_a_call = 1

    def __init__(
        self,
        net: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        stream: Stream,
        backend: str,
        schedule: Schedule | None,
        extras: Extras,
    ) -> None:
        first = stream.first
        super().__init__(net, loss, optimizer, first, first.rows, backend, schedule, extras=extras)
        self.stream, self.an_epoch = stream, stream.length
        self._order = np.arange(first.rows)[np.newaxis]
        self._retained = 0  # elements of the batches since the rollback's last copy

    def epochs_in_slice(self, calls: Callbacks, most: float) -> int:
        return 1

    def run_epochs(
        self,
        epochs: int,
        calls: Callbacks,
        bar: TrainingProgress,
        after_slice: Callable[[], None],
    ) -> bool:
        """Train for one epoch; return whether it was finished."""
        training, started = calls.training, self.started
        began_at = shown = perf_counter()
        step = 0
        for step, batch in enumerate(self.stream.epoch(training.epoch), 1):
            if training.stopped:
                return False
            self._take(batch)
            order, before = self._order[:, : batch.rows], (step - 1) * self.batch
            rates = self._rates(training.step, 1)
            losses = self._run_slice(training, before, order, rates)
            started.add(batch.rows, *losses)
            now = perf_counter()
            if now > shown + SLICE_SECONDS:
                bar.advance(training.epoch, step, started.loss)
                shown = now
            calls.after_steps(1)
        bar.an_epoch = step
        bar.advance(training.epoch, step, started.loss)
        self._end_epochs(1, None, perf_counter() - began_at, training.history)
        return True

    def _take(self, batch: DataSet) -> None:
        """Make this batch the data of the next step."""
        if batch.rows > self.batch:
            self.batch = batch.rows
            self.make_machine()
            self._order = np.arange(batch.rows)[np.newaxis]
            self.resume_from(self.started)  # the rollback repeats steps with this batch size
        if self._retained > self.rollback.size:  # a copy costs less than the copies of the batches
            self.rollback.copy()
            self._retained = 0
        self._retained += batch.size
        self.data = batch
