"""A trainer is made of a network, checked options, and data: arrays, or batches that come."""

from __future__ import annotations

from numpy.typing import ArrayLike

from chainrule.models.batch import Batch, rows_a_step
from chainrule.models.sequential import Sequential
from chainrule.training.options import Options
from chainrule.training.streams import Batches, Stream, StreamTrainer, check_absent
from chainrule.training.trainer import Trainer

BATCH_SIZE = 32  # where nothing is said


def make_trainer(
    net: Sequential,
    X: ArrayLike | Batches,
    y: ArrayLike | tuple[ArrayLike, ...] | None,
    options: Options,
    *,
    batch_size: int | None,
    shuffle: bool | None,
    sample_weight: ArrayLike | None,
    stacklevel: int,
) -> Trainer:
    """Check the data of :func:`chainrule.fit`, and return what trains on it.

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
        return StreamTrainer(
            net, loss, optimizer, stream, options.backend, options.schedule, extras
        )
    data = Batch.checked(net, loss, X, y, sample_weight)
    data.check_some_weight("sample_weight")
    if batch_size is None:
        batch_size = min(BATCH_SIZE, data.rows)
    else:
        batch_size = rows_a_step(batch_size, data.rows, stacklevel=stacklevel)
    return Trainer(
        net,
        loss,
        optimizer,
        data,
        batch_size,
        options.backend,
        options.schedule,
        extras.seed if shuffle is None or shuffle else None,
        extras,
    )
