"""The targets of several outputs as the columns of one matrix, as in scikit-learn."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.losses.multi_loss import MultiLoss
from chainrule.utils.wording import plural

Shapes = tuple[tuple[int, ...], ...]


def _widths(loss: MultiLoss, shapes: Shapes) -> list[int]:
    each = zip(loss.losses, shapes, strict=True)
    return [1 if one.takes_labels else prod(shape) for one, shape in each]


def check_columns(loss: MultiLoss, shapes: Shapes, columns: int) -> None:
    """Raise ValueError unless the outputs and their losses take this number of columns of y."""
    if len(shapes) != len(loss.losses):
        raise ValueError(
            f"module has {plural(len(shapes), 'output')}, but {loss!r} takes {len(loss.losses)}."
        )
    if sum(_widths(loss, shapes)) != columns:
        raise ValueError(
            f"y has {plural(columns, 'column')}, but the outputs take {_widths(loss, shapes)}, one "
            "after the other."
        )


def split_columns(loss: MultiLoss, shapes: Shapes, y: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return each output's targets, or class numbers, from the columns of y."""
    ends = np.cumsum(_widths(loss, shapes))[:-1]
    blocks = np.split(y.reshape(len(y), -1), ends, axis=1)
    targets = []
    for one, shape, block in zip(loss.losses, shapes, blocks, strict=True):
        if not one.takes_labels:
            targets.append(block.reshape(len(y), *shape))
            continue
        labels = block[:, 0].astype(np.int64)
        if (labels != block[:, 0]).any():
            raise ValueError(f"y must hold class numbers where {one!r} takes labels.")
        targets.append(labels)
    return tuple(targets)


def join_columns(loss: MultiLoss, outputs: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    """Return the outputs as columns in the order of y, with the most likely class's number."""
    columns = [
        (output.argmax(axis=1) if one.takes_labels else output).reshape(len(output), -1)
        for one, output in zip(loss.losses, outputs, strict=True)
    ]
    joined: NDArray[Any] = np.hstack(columns).astype(outputs[0].dtype)
    return joined
