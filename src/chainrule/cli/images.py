"""Arrays for ``train``, ``explain`` and ``predict``: which are images, and layers for these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule import datasets
from chainrule.datasets.npz import Named, read_labelled
from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape

LEAST_SIDE = 8  # of an image, also of what is pooled
CHANNELS = 1, 3, 4  # grey, RGB, and with transparency
WIDEST = 16, 64  # channels of the first convolution, and the most of a later one


def read(path: Path) -> tuple[Named, Named]:
    """Return the images, or rows, and the labels of a file as they are there."""
    if path.suffix.lower() == ".npz":
        return read_labelled(path)
    X, labels = datasets.load(path)
    return Named("rows", X, path), Named("labels", labels, path)


def arrange(images: Named) -> tuple[NDArray[Any], str]:
    """Return images ``(n, height, width, channels)``, or rows ``(n, features)`` of all else.

    The second result is a sentence about what was changed, empty if nothing was.

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
        return X[..., np.newaxis], ""
    if is_image(X.shape[1:]):
        return X, ""
    if X.ndim == 4 and is_image((*X.shape[2:], X.shape[1])):
        return np.ascontiguousarray(np.moveaxis(X, 1, -1)), (
            f"The images have their {X.shape[1]} channels first, as in PyTorch; they are moved to "
            "the end, where the network takes them."
        )
    if X.ndim == 2:
        return X, ""
    shape = " by ".join(map(str, X.shape[1:]))
    return X.reshape(len(X), -1), (
        f"Each array of {shape} becomes a row of {X[0].size:,} numbers, without convolutions: "
        f"images have at least {LEAST_SIDE} by {LEAST_SIDE} pixels and 1, 3 or 4 channels."
    )


def is_image(shape: Shape) -> bool:
    """Tell whether arrays of this shape are images with the channels last."""
    return len(shape) == 3 and shape[-1] in CHANNELS and min(shape[:2]) >= LEAST_SIDE


def convolutions(shape: Shape, activation: type[Layer]) -> tuple[list[Layer], int]:
    """Return layers for images of this shape, and how many features the last one gives.

    Each convolution of 3 by 3 is followed by a pooling of 2 by 2.
    """
    height, width, channels = shape
    layers: list[Layer] = []
    wider, widest = WIDEST
    while min(height, width) >= LEAST_SIDE:
        layers += [cr.Conv2d(channels, wider, 3, padding="same"), activation(), cr.MaxPool2d(2)]
        height, width, channels, wider = height // 2, width // 2, wider, min(2 * wider, widest)
    return [*layers, cr.Flatten()], height * width * channels
