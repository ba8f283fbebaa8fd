"""Images for ``train`` and ``explain``: which files hold some, and the first layers for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule import datasets
from chainrule.datasets.readers import Dataset
from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape

LEAST_SIDE = 8  # of an image, also of what is pooled
CHANNELS = 1, 3, 4  # grey, RGB, and with transparency
WIDTHS = 16, 32  # channels of the convolutions


def read(path: Path) -> Dataset:
    """Return images ``(n, height, width, channels)`` or rows ``(n, features)``, and their labels.

    Images with the channels first get them last.
    """
    if path.suffix.lower() != ".npz":
        return datasets.load(path)
    X, labels = datasets.load_images(path, flatten=False)
    if X.ndim == 4 and X.shape[-1] not in CHANNELS and X.shape[1] in CHANNELS:
        X = np.ascontiguousarray(np.moveaxis(X, 1, -1))
    if X.ndim == 4 and X.shape[-1] in CHANNELS and min(X.shape[1:3]) >= LEAST_SIDE:
        return X, labels
    return X.reshape(len(X), -1), labels


def convolutions(shape: Shape, activation: type[Layer]) -> tuple[list[Layer], int]:
    """Return layers for images of this shape, and how many features the last one gives.

    Each convolution of 3 by 3 is followed by a pooling of 2 by 2.
    """
    height, width, channels = shape
    layers: list[Layer] = []
    for wider in WIDTHS:
        if min(height, width) < LEAST_SIDE:
            break
        layers += [cr.Conv2d(channels, wider, 3, padding="same"), activation(), cr.MaxPool2d(2)]
        height, width, channels = height // 2, width // 2, wider
    return [*layers, cr.Flatten()], height * width * channels
