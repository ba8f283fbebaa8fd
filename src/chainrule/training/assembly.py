"""Assembles a training: network, checked options, and data from arrays or an iterable."""

from __future__ import annotations

from dataclasses import replace

from numpy.typing import ArrayLike

from chainrule.models.data_set import DataSet
from chainrule.models.sequential import Sequential
from chainrule.training.class_weights import ClassWeight, weigh_classes
from chainrule.training.epoch_runner import EpochRunner
from chainrule.training.options import Options
from chainrule.training.pixels import warn_of_pixels
from chainrule.training.schedule import Schedule, warn_of_no_rate
from chainrule.training.streams import Batches, Stream, StreamEpochRunner, check_absent
from chainrule.training.validation_split import split
from chainrule.utils.arguments import integer

BATCH_SIZE = 32  # by default


def make_runner(
    net: Sequential,
    X: ArrayLike | Batches,
    y: ArrayLike | tuple[ArrayLike, ...] | None,
    options: Options,
    *,
    batch_size: int | None,
    shuffle: bool | None,
    sample_weight: ArrayLike | None,
    class_weight: ClassWeight | None,
) -> tuple[EpochRunner, Options]:
    """Check the data of :func:`chainrule.fit`, and return the runner that trains on it.

    The options that are returned have the validation data that is held out of X and y, if any.
    """
    loss, optimizer, extras = options.loss, options.optimizer, options.extras
    validation_x = None if options.validation is None else options.validation.inputs
    if y is None:
        check_absent(
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_split=options.validation_split,
            checkpoint=options.checkpoint,
        )
        stream = Stream(net, loss, X, options.epochs)
        warn_of_pixels(net, stream.first.inputs, "x", validation_x)
        schedule = _in_steps(options, stream.length)
        backend = options.backend
        return StreamEpochRunner(net, loss, optimizer, stream, backend, schedule, extras), options
    data = DataSet.checked(net, loss, X, y, sample_weight)
    warn_of_pixels(net, data.inputs, "X", validation_x)
    data.check_some_weight("sample_weight")
    if options.validation_split is not None:
        data, held_out = split(data, options.validation_split, extras.seed)
        shape, name = held_out.inputs.shape[1:], "what validation_split holds out"
        net.check_prediction_batch(held_out.rows, shape, name)
        options = replace(options, validation=held_out)
    if class_weight is not None:
        shapes = net.output_shapes(data.inputs.shape[1:])
        data = weigh_classes(data, class_weight, loss, shapes)
    batch_size = BATCH_SIZE if batch_size is None else integer(batch_size, "batch_size", least=1)
    batch_size = min(batch_size, data.rows)
    _check_smallest_batch(net, data, batch_size)
    runner = EpochRunner(
        net,
        loss,
        optimizer,
        data,
        batch_size,
        options.backend,
        _in_steps(options, -(-data.rows // batch_size)),
        extras.seed if shuffle is None or shuffle else None,
        extras,
    )
    return runner, options


def _in_steps(options: Options, steps_an_epoch: int | None) -> Schedule | None:
    """Return the schedule with all lengths in steps, with a warning if it ends long before them."""
    schedule = options.schedule
    if schedule is None:
        return None
    if steps_an_epoch is not None:
        warn_of_no_rate(schedule, steps_an_epoch, options.epochs)
        return schedule.in_steps(steps_an_epoch, options.epochs)
    try:
        schedule(0)
    except ValueError as error:
        raise ValueError(
            f"The number of batches in an epoch is not known, as X has no length: {error}"
        ) from None
    return schedule


def _check_smallest_batch(net: Sequential, data: DataSet, batch_size: int) -> None:
    """Raise ValueError if a batch, which is an epoch's last, has fewer rows than a layer needs."""
    rows, shape = data.rows, data.inputs.shape[1:]
    try:
        net.check_training_batch(rows % batch_size or batch_size, shape)
    except ValueError as error:
        if rows == 1:
            raise ValueError(f"There is only 1 row to train on: {error}") from None
        first = batch_size if batch_size > 1 else min(BATCH_SIZE, rows)
        near = range(2, min(rows, 2 * first + 64) + 1)  # no number is a multiple of all of 64
        right = min((n for n in near if rows % n != 1), key=lambda size: abs(size - first))
        which = "The last batch of an epoch" if batch_size > 1 else "Each batch"
        raise ValueError(
            f"{which} has 1 of {rows:,} rows with batch_size={batch_size}: {error} With "
            f"batch_size={right}, no batch has 1 row."
        ) from None
