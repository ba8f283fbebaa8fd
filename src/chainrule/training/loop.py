"""The loop over the epochs of a training: slices, validation, callbacks and checkpoints."""

from __future__ import annotations

from typing import Any

from chainrule.training.callbacks import Callbacks, Training
from chainrule.training.checkpoint import NoSaver
from chainrule.training.figures import figure_names, measure
from chainrule.training.history import History
from chainrule.training.identity import describe_batch, describe_object, describe_optimizer
from chainrule.training.options import Options
from chainrule.training.progress import TrainingProgress
from chainrule.training.resuming import begin
from chainrule.training.trainer import Trainer
from chainrule.utils.interruption import interruption


def train(trainer: Trainer, options: Options, *, progress: bool) -> History:
    """Train for all epochs, or until somebody stops it; return what happened."""
    net, data, held_out = trainer.net, trainer.data, options.validation
    history = History()
    with (
        TrainingProgress(options.epochs, trainer.an_epoch, shown=progress) as bar,
        interruption() as stop,
    ):
        training = Training(
            net,
            options.loss,
            options.optimizer,
            history,
            data.inputs,
            data.targets.y,
            data.weights,
            trainer.batch,
            options.epochs,
            options.backend,
            stop,
            figure_names(options.loss, held_out, options.metrics, net),
            options.extras.average,
        )
        with Callbacks(options.callbacks, training) as calls:
            saver = _begin(trainer, options, calls)
            while training.epoch < options.epochs and not training.stopped:
                # Short epochs go together, but each has its validation.
                count = trainer.epochs_in_slice(calls, saver.most_epochs) if held_out is None else 1
                if not trainer.run_epochs(count, calls, bar, saver.after_slice):
                    break
                if held_out is not None:
                    _validate(trainer, options, history, bar)
                calls.after_epochs(count)
                saver.after_epochs()
            history.interrupted = stop.answer()
            saver.last()
    return history


def _begin(trainer: Trainer, options: Options, calls: Callbacks) -> NoSaver:
    """Begin, or go on from the checkpoint; return what writes it."""
    if options.checkpoint is None:
        calls.begin()
        return NoSaver()
    return begin(options.checkpoint, options.resume, _describe(trainer, options), calls, trainer)


def _describe(trainer: Trainer, options: Options) -> dict[str, Any]:
    """Return what a checkpoint says of its training: only the same one may go on from it."""
    schedule, held_out = options.schedule, options.validation
    return {
        "loss": describe_object(options.loss),
        "optimizer": describe_optimizer(options.optimizer),
        "batch_size": trainer.batch,
        "schedule": None if schedule is None else describe_object(schedule),
        **options.extras.numbers,
        "metrics": sorted(options.metrics),
        "shuffle": trainer.seed is not None,
        "seed": options.extras.seed,
        "backend": options.backend,
        **describe_batch(trainer.data),
        "validation": None if held_out is None else describe_batch(held_out),
    }


def _validate(trainer: Trainer, options: Options, history: History, bar: TrainingProgress) -> None:
    """Measure loss, accuracy and metrics of the validation data."""
    assert options.validation is not None
    value, correct, outputs = trainer.evaluate(options.validation)
    history.validation_loss.append(value)
    if correct is not None:
        history.validation_accuracy.append(correct)
    measure(options.metrics, outputs, options.validation, history)
    bar.validated(value, correct)
