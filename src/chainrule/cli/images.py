"""Images for ``train`` and ``explain``: which arrays are some, and the first layers for them."""

from __future__ import annotations

import chainrule as cr
from chainrule.layers.layer import Layer
from chainrule.operations.operation import Shape

LEAST_SIDE = 8  # of an image, also of what is pooled
CHANNELS = 1, 3, 4  # grey, RGB, and with transparency
FIRST_WIDTH, WIDEST = 16, 64  # channels of the first convolution, and the most of a later one


def is_image(shape: Shape) -> bool:
    """Tell whether arrays of this shape are images with the channels last."""
    return len(shape) == 3 and shape[-1] in CHANNELS and min(shape[:2]) >= LEAST_SIDE


def convolutions(shape: Shape, activation: type[Layer]) -> tuple[list[Layer], int]:
    """Return layers for images of this shape, and how many features the last one gives.

    Each convolution of 3 by 3 is followed by a pooling of 2 by 2.
    """
    height, width, channels = shape
    layers: list[Layer] = []
    wider = FIRST_WIDTH
    while min(height, width) >= LEAST_SIDE:
        layers += [cr.Conv2d(channels, wider, 3, padding="same"), activation(), cr.MaxPool2d(2)]
        height, width, channels, wider = height // 2, width // 2, wider, min(2 * wider, WIDEST)
    return [*layers, cr.Flatten()], height * width * channels
