"""Arrays for ``train``, ``explain`` and ``predict``: read, arranged, and scaled by a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule import datasets
from chainrule.cli.images import LEAST_SIDE, is_image
from chainrule.datasets.npz import FileArray, read_labelled
from chainrule.layers.layer import Layer
from chainrule.utils.wording import plural

LONG = 4  # so many times as long as wide, an image may be a signal


def read(path: Path) -> tuple[FileArray, FileArray]:
    """Return the images, or rows, and the labels of a file as they are there."""
    if path.suffix.lower() == ".npz":
        return read_labelled(path)
    X, labels = datasets.load(path)
    return FileArray("rows", X, path), FileArray("labels", labels, path, holds_labels=True)


def arrange(images: FileArray) -> tuple[NDArray[Any], list[str]]:
    """Return images ``(n, height, width, channels)``, or rows ``(n, features)`` of all else.

    The second result are sentences about what was changed, or may be taken for something else.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If one of them is not finite.
    """
    X = images.array
    if X.dtype.kind not in "biuf":
        raise images.wrong_dtype("real numbers")
    images.check_finite(np.dtype(np.float32))
    if X.ndim == 3 and is_image((*X.shape[1:], 1)):
        return X[..., np.newaxis], _about_length(X.shape[1:])
    if is_image(X.shape[1:]):
        return X, []
    if X.ndim == 4 and is_image((*X.shape[2:], X.shape[1])):
        return np.ascontiguousarray(np.moveaxis(X, 1, -1)), [
            f"The images have {plural(X.shape[1], 'channel')} first, as in PyTorch; they are moved "
            "to the end, where the network takes them."
        ]
    if X.ndim == 2:
        return X, []
    shape = " by ".join(map(str, X.shape[1:]))
    return X.reshape(len(X), -1), [
        f"Each array of {shape} becomes a row of {X[0].size:,} numbers, without convolutions: "
        f"images have at least {LEAST_SIDE} by {LEAST_SIDE} pixels and 1, 3 or 4 channels."
    ]


def _about_length(shape: tuple[int, ...]) -> list[str]:
    """Return a sentence if arrays of a shape may be signals."""
    if max(shape) < LONG * min(shape):
        return []
    return [
        f"Arrays of {shape[0]} by {shape[1]} are read as grey images. If they are signals, with "
        "the channels last, cr.Conv1d in Python suits them better."
    ]


def labels_of(labels: FileArray) -> NDArray[Any]:
    """Return labels that are text or int64; TypeError if they are something else."""
    dtype = labels.array.dtype
    if dtype.kind == "U":
        for label in labels.array.tolist():
            try:
                label.encode()
            except UnicodeEncodeError:
                raise ValueError(
                    f"{labels.name} in {labels.path} has {label!a}, which cannot be written."
                ) from None
        return labels.array
    if dtype.kind == "S":
        raise TypeError(
            f"{labels.name} in {labels.path} must be text, or integers, but they are bytes. "
            f"{labels.name}.astype(str) makes text of them."
        )
    if dtype.kind not in "biu" or not np.can_cast(dtype, np.int64):
        raise labels.wrong_dtype("text, or integers that fit into int64")
    return labels.array.astype(np.int64)


def scaling_layers(seen: NDArray[Any]) -> list[Layer]:
    """Return the layer that scales the training arrays; none if they are near 1 as they are.

    Pixels are divided by the largest one: uint8 numbers, and of images all integers from 0 on.
    Other numbers than from 0 to 1 get mean 0 and deviation 1, in each channel or column.
    """
    least, largest = seen.min(), seen.max()
    if least == largest:
        raise ValueError(f"All numbers of the training data are the same: {least}.")
    if is_pixels(seen):
        return [cr.Rescale(1 / float(largest))] if largest > 1 else []
    return [] if least >= 0 and largest <= 1 else [cr.Standardize().adapt(seen)]


def is_pixels(seen: NDArray[Any]) -> bool:
    """Tell whether arrays hold pixels, which have one scale from 0 on."""
    is_unsigned = seen.dtype == np.uint8 or seen.dtype.kind == "b"
    return is_unsigned or (seen.ndim > 2 and seen.dtype.kind in "iu" and bool(seen.min() >= 0))


def unused_columns(seen: NDArray[Any], scaling: list[Layer]) -> NDArray[np.bool_]:
    """Return which columns of rows are 0 in all of them, behind the layers that scale them."""
    is_centred = any(isinstance(layer, cr.Standardize) for layer in scaling)
    unused: NDArray[np.bool_] = (seen == (seen[0] if is_centred else 0)).all(axis=0)
    return unused
