"""What a training will do, in words: data, split, loss, optimizer, and when it stops."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import log

from chainrule.cli.network import Data, make_optimizer
from chainrule.losses import CrossEntropyLoss, Loss
from chainrule.utils.wording import plural


def describe(
    options: argparse.Namespace, data: Data, loss: Loss, patience: int | None
) -> Iterator[str]:
    """Yield the lines that ``chainrule train`` prints before it trains.

    ``patience`` is the epochs without a better validation loss that end the training, if any.
    """
    yield f"Data: {_data(options, data)}."
    yield from data.notes
    classes = ", each class in proportion" if len(data.classes) else ""
    yield (
        f"Split: {len(data.training):,} rows to train on, {len(data.validation):,} for validation, "
        f"{len(data.test):,} for the test; drawn at random{classes} (--seed)."
    )
    yield f"Loss: {loss!r}{_least(loss, data)}."
    batch = plural(min(options.batch_size, len(data.training)), "row")
    yield f"Optimizer: {make_optimizer(options)!r}, {batch} a step."
    yield f"Stopping: {_stopping(options.epochs, patience)}."


def _data(options: argparse.Namespace, data: Data) -> str:
    rows = f"{len(data.X):,}"
    if data.table is not None:
        target = data.table.target.name
        return f"{rows} rows of {options.table}, to predict {target!r} ({data.table.task})"
    if data.are_images:
        height, width, channels = data.X.shape[1:]
        size = f"{height} by {width} pixels, {plural(channels, 'channel')}"
        return f"{rows} images of {options.data}, {size}, of {len(data.classes)} classes"
    if options.data is not None:
        return f"{rows} rows of {options.data}, of {len(data.classes)} classes"
    return f"{rows} handwritten digits of 8 by 8 pixels, which come with chainrule"


def _least(loss: Loss, data: Data) -> str:
    """Return why a loss with label smoothing does not approach 0."""
    if not isinstance(loss, CrossEntropyLoss) or not loss.label_smoothing:
        return ""
    classes = len(data.classes)
    other = loss.label_smoothing / classes
    right = 1 - loss.label_smoothing + other
    least = -(right * log(right) + (classes - 1) * other * log(other))
    return (
        f": {loss.label_smoothing:.0%} of each target is spread over all classes, so that the "
        f"loss is {least:.2f} at the least"
    )


def _stopping(epochs: int, patience: int | None) -> str:
    after = f"after {plural(epochs, 'epoch')}"
    if patience is None:
        return after
    return (
        f"{after} at the latest, or {plural(patience, 'epoch')} without a better validation loss; "
        "the best epoch's parameters are kept"
    )
