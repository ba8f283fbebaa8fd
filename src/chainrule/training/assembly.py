"""Assembles a training: network, checked options, and data from arrays or an iterable."""

from __future__ import annotations

from numpy.typing import ArrayLike

from chainrule.models.data_set import DataSet, rows_per_step
from chainrule.models.sequential import Sequential
from chainrule.training.epoch_runner import EpochRunner
from chainrule.training.options import Options
from chainrule.training.schedule import Schedule, warn_of_no_rate
from chainrule.training.streams import Batches, Stream, StreamEpochRunner, check_absent

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
    stacklevel: int,
) -> EpochRunner:
    """Check the data of :func:`chainrule.fit`, and return the runner that trains on it.

    ``stacklevel`` is that of the user's line, for warnings.
    """
    loss, optimizer, extras = options.loss, options.optimizer, options.extras
    if y is None:
        check_absent(
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            checkpoint=options.checkpoint,
        )
        stream = Stream(net, loss, X, options.epochs)
        schedule = _in_steps(options, stream.length, stacklevel=stacklevel)
        return StreamEpochRunner(net, loss, optimizer, stream, options.backend, schedule, extras)
    data = DataSet.checked(net, loss, X, y, sample_weight)
    data.check_some_weight("sample_weight")
    if batch_size is None:
        batch_size = min(BATCH_SIZE, data.rows)
    else:
        batch_size = rows_per_step(batch_size, data.rows, stacklevel=stacklevel)
    _check_smallest_batch(net, data, batch_size)
    return EpochRunner(
        net,
        loss,
        optimizer,
        data,
        batch_size,
        options.backend,
        _in_steps(options, -(-data.rows // batch_size), stacklevel=stacklevel),
        extras.seed if shuffle is None or shuffle else None,
        extras,
    )


def _in_steps(options: Options, steps_an_epoch: int | None, *, stacklevel: int) -> Schedule | None:
    """Return the schedule with all lengths in steps, with a warning if it ends long before them."""
    schedule = options.schedule
    if schedule is None:
        return None
    if steps_an_epoch is not None:
        schedule = schedule.in_steps(steps_an_epoch, options.epochs)
        warn_of_no_rate(schedule, options.epochs * steps_an_epoch, stacklevel=stacklevel + 1)
        return schedule
    try:
        schedule(0)
    except ValueError as error:
        raise ValueError(
            f"The number of batches in an epoch is not known, as X has no length: {error}"
        ) from None
    return schedule


def _check_smallest_batch(net: Sequential, data: DataSet, batch_size: int) -> None:
    """Raise ValueError if an epoch's last batch has fewer rows than some layer needs."""
    last = data.rows % batch_size or batch_size
    try:
        net.check_training_batch(last, data.inputs.shape[1:])
    except ValueError as error:
        raise ValueError(
            f"The last batch of an epoch has {last} of {data.rows:,} rows with "
            f"batch_size={batch_size}: {error}"
        ) from None
