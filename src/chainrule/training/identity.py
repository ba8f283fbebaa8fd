"""Descriptions of a training: only an equal one can be resumed from a checkpoint, bit for bit."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from chainrule.models.data_set import DataSet
from chainrule.optimizers import Optimizer
from chainrule.utils.inputs import arrays_of, input_names

# The number of rows in a checksum: reading all of a large memory-mapped array would take long.
ROWS = 1024


def describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimizer's class and hyperparameters, in types that JSON has."""
    numbers = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in optimizer.hyperparameters().items()
    }
    return {"kind": type(optimizer).__name__, "numbers": numbers}


def complete_optimizer(description: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer's description with defaults for hyperparameters that were added later."""
    kind, numbers = description.get("kind"), description.get("numbers")
    if kind != type(optimizer).__name__ or not isinstance(numbers, dict):
        return description
    return description | {"numbers": optimizer.added_hyperparameters | numbers}


def complete_schedule(description: str) -> str:
    """Return a schedule's description with the names that its lengths have now."""
    description = description.replace("warmup_steps=0, ", "")  # no warm-up is no argument
    return re.sub(r"\b(total_steps|step_size)=", "steps=", description)


def describe_schedule(schedule: object) -> str:
    """Return a schedule's description."""
    return complete_schedule(describe_object(schedule))


def describe_object(thing: object) -> str:
    """Return the object's repr, without addresses in memory."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def describe_batch(data: DataSet) -> dict[str, Any]:
    """Return shapes, dtypes and a checksum of some rows of X, y and the weights."""
    y = data.targets.y
    targets = list(y) if isinstance(y, tuple) else [y]
    inputs = list(map(_describe, arrays_of(data.inputs)))
    return {
        "X": inputs[0] if len(inputs) == 1 else inputs,
        "y": [_describe(target) for target in targets],
        "sample_weight": None if data.weights is None else _describe(data.weights),
    }


def _describe(array: NDArray[Any]) -> str:
    rows = min(ROWS, len(array))
    some = np.ascontiguousarray(array[np.arange(rows) * len(array) // rows])
    checksum = crc32(some.reshape(-1).view(np.uint8).data)
    return f"{array.dtype} of shape {array.shape}, rows with checksum {checksum:08x}"


def _numbered(values: list[Any]) -> dict[str, Any]:
    """Return the entries of a list by what messages put behind its name."""
    return dict(zip(input_names("", len(values)), values, strict=True))


def differences(now: dict[str, Any], then: dict[str, Any], name: str = "") -> list[str]:
    """Return a phrase for each entry that has changed."""
    found = []
    for key in sorted(now.keys() | then.keys()):
        is_now, was, called = now.get(key), then.get(key), f"{name}{key}"
        if isinstance(is_now, list) and isinstance(was, list) and len(is_now) == len(was):
            found += differences(_numbered(is_now), _numbered(was), called)
        elif isinstance(is_now, dict) and isinstance(was, dict):
            found += differences(is_now, was, f"{called} ")
        elif is_now != was:
            found.append(f"{called} is {is_now!r}, but was {was!r}")
    return found
