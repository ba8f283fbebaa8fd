"""The loop over the epochs of a training: slices, validation, callbacks and checkpoints."""

from __future__ import annotations

from typing import Any

from chainrule.training.callbacks import Callbacks, Training
from chainrule.training.checkpoint import NoSaver
from chainrule.training.epoch_runner import EpochRunner
from chainrule.training.history import History
from chainrule.training.identity import (
    describe_batch,
    describe_object,
    describe_optimizer,
    describe_schedule,
)
from chainrule.training.metrics import measure, metric_names
from chainrule.training.options import Options
from chainrule.training.progress import TrainingProgress
from chainrule.training.resuming import begin
from chainrule.utils.interruption import interruption


def train(
    runner: EpochRunner, options: Options, *, progress: bool, raises_on_ctrl_c: bool
) -> History:
    """Train for all epochs, or until a callback or Ctrl-C stops it; return the history."""
    net, data, held_out = runner.net, runner.data, options.validation
    history = History()
    with (
        TrainingProgress(options.epochs, runner.an_epoch, shown=progress) as bar,
        interruption() as stop,
    ):
        training = Training(
            net,
            options.loss,
            options.optimizer,
            history,
            data.X,
            data.targets.y,
            data.weights,
            runner.batch,
            options.epochs,
            options.backend,
            stop,
            metric_names(options.loss, held_out, options.metrics, net),
            options.extras.average,
        )
        with Callbacks(options.callbacks, training) as calls:
            saver = _begin(runner, options, calls)
            bar.resume(training, runner.started)
            while training.epoch < options.epochs and not training.stopped:
                # Several short epochs run in one call, unless each needs a validation.
                count = runner.epochs_in_slice(calls, saver.most_epochs) if held_out is None else 1
                if not runner.run_epochs(count, calls, bar, saver.after_slice):
                    break
                if held_out is not None:
                    _validate(runner, options, history, bar)
                calls.after_epochs(count)
                saver.after_epochs()
            history.interrupted = stop.answer()
            saver.last()
            if history.interrupted and raises_on_ctrl_c:
                epoch = min(training.epoch + 1, options.epochs)
                raise KeyboardInterrupt(
                    f"fit was interrupted in epoch {epoch} of {options.epochs}. The network can "
                    'be used as it is. With interrupt="stop", fit returns its history.'
                )
    return history


def _begin(runner: EpochRunner, options: Options, calls: Callbacks) -> NoSaver:
    """Start, or resume from the checkpoint; return what writes checkpoints."""
    if options.checkpoint is None:
        calls.begin()
        return NoSaver()
    return begin(options.checkpoint, options.resume, _describe(runner, options), calls, runner)


def _describe(runner: EpochRunner, options: Options) -> dict[str, Any]:
    """Return the description that a checkpoint stores: it must be equal to resume the training."""
    schedule, held_out = runner.schedule, options.validation
    return {
        "loss": describe_object(options.loss),
        "optimizer": describe_optimizer(options.optimizer),
        "frozen": list(runner.net.frozen),
        "batch_size": runner.batch,
        "schedule": None if schedule is None else describe_schedule(schedule),
        **options.extras.numbers,
        "metrics": sorted(options.metrics),
        "shuffle": runner.seed is not None,
        "seed": options.extras.seed,
        "backend": options.backend,
        **describe_batch(runner.data),
        "validation": None if held_out is None else describe_batch(held_out),
    }


def _validate(
    runner: EpochRunner, options: Options, history: History, bar: TrainingProgress
) -> None:
    """Measure loss, accuracy and metrics of the validation data."""
    assert options.validation is not None
    value, correct, outputs = runner.evaluate(options.validation)
    history.validation_loss.append(value)
    if correct is not None:
        history.validation_accuracy.append(correct)
    measure(options.metrics, outputs, options.validation, history)
    bar.validated(value, correct)
