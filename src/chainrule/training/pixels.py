"""Warnings of pixels and sounds that are not scaled before they are learnt, or scaled twice.

Pixels are numbers from 0 to 255, or to 65,535; samples of sounds are as large. Initial weights and
learning rates are made for numbers near 1. uint8 numbers are nearly always pixels. Other dtypes may
hold anything, so only whole numbers are looked at there, and 64 or more in a row: a table has fewer
columns, and is standardized column by column.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule import layers
from chainrule.layers.container import Container
from chainrule.layers.convolution import Windowed
from chainrule.layers.graph import Graph, layer_text
from chainrule.layers.normalization import Normalization
from chainrule.models.sequential import Sequential
from chainrule.utils.arrays import BLOCK
from chainrule.utils.inputs import Batch, arrays_of, input_names
from chainrule.utils.warning import warn_caller
from chainrule.utils.wording import count, in_code

SUMMING = layers.Linear, Windowed  # large inputs give them large outputs and gradients
# What comes out of them is as large as what comes in. No Columns: these divide tables, not images.
PASSING = (
    *(Container, layers.Identity, layers.Flatten, layers.Dropout, layers.ZeroPad, layers.Upsample),
    *(layers.RandomShift, layers.RandomFlip, layers.RandomCrop),
    *(layers.MaxPool1d, layers.MaxPool2d, layers.GlobalMaxPool),
    *(layers.AvgPool1d, layers.AvgPool2d, layers.GlobalAvgPool),
)
BRIGHT = 128  # some pixel of many images is, but few counts are as large
LARGEST = (1 << 16) - 1  # larger numbers are no pixels
MANY = 64  # numbers in a row, as of an image of 8 x 8


class _Unscaled(NamedTuple):
    """An input whose numbers some layer takes as they are."""

    name: str
    largest: int
    are_pixels: bool
    layer: str

    @property
    def remedy(self) -> str:
        """The layer that scales: pixels have one scale, and the columns of a table each its own."""
        if not self.are_pixels:
            return f"Standardize().adapt({in_code(self.name)})"
        bits = max(8, (self.largest - 1).bit_length())
        return f"Rescale(1 / {(1 << bits) - 1})"


def warn_of_pixels(net: Sequential, batch: Batch, name: str, held_out: Batch | None = None) -> None:
    """Warn if a linear layer or a convolution takes large whole numbers as they are.

    Warn also if those of the validation data alone are large, or if small ones are scaled down.
    """
    if found := _unscaled(net, batch, name):
        warn_caller(
            f"{found.name} holds whole numbers as large as {count(found.largest)}, which "
            f"{found.layer} takes as they are; with inputs so large, training is slow or fails. "
            f"Put {found.remedy} before that layer, or scale {found.name} first."
        )
    elif held_out is not None and (found := _unscaled(net, held_out, "validation X")):
        warn_caller(
            f"{found.name} holds whole numbers as large as {count(found.largest)}, but {name} does "
            "not: scale both in the same way."
        )
    else:
        _warn_of_scaled_twice(net, batch, name)


def _unscaled(net: Sequential, batch: Batch, name: str) -> _Unscaled | None:
    """Return the first input whose large whole numbers reach a layer that sums them up."""
    # The inputs whose numbers are found as they are, by place in the graph.
    unscaled = {
        place: (called, largest, x.dtype == np.uint8 or x.ndim > 2)
        for place, (called, x) in _inputs(net.graph, batch, name).items()
        if (largest := _largest_pixel(x))
    }
    for position, node in enumerate(net.graph.nodes):
        found = next((unscaled[i] for i in node.inputs if i in unscaled), None)
        if found and isinstance(node.layer, SUMMING) and not _is_normalized(net.graph, position):
            return _Unscaled(*found, f"{layer_text(node.layer)} (layer {node.path})")
        if found and isinstance(node.layer, PASSING):
            unscaled[position] = found
    return None


def _inputs(graph: Graph, batch: Batch, name: str) -> dict[int, tuple[str, NDArray[Any]]]:
    """Return the name and the array of each input, by its place in the graph."""
    names = input_names(name, graph.inputs)
    return graph.at_inputs(list(zip(names, arrays_of(batch), strict=True)))


def _is_normalized(graph: Graph, position: int) -> bool:
    """Return whether a layer that normalizes undoes the scale of an output."""
    following = [node.layer for node in graph.nodes if position in node.inputs]
    return bool(following) and all(isinstance(layer, Normalization) for layer in following)


def _largest_pixel(x: NDArray[Any]) -> int:
    """Return the size of the largest number in an array's first rows; 0 if these are no pixels."""
    rows = _first_rows(x)
    if rows.dtype.kind == "b" or (rows.dtype != np.uint8 and rows[0].size < MANY):
        return 0
    largest = max(float(rows.max()), -float(rows.min()))
    if not BRIGHT <= largest <= LARGEST:
        return 0
    if rows.dtype.kind == "f" and (rows != np.trunc(rows)).any():
        return 0
    return int(largest)


def _first_rows(x: NDArray[Any]) -> NDArray[Any]:
    """Return the first rows of an array, which may be a file larger than the memory."""
    return x[: max(1, BLOCK * len(x) // x.size)]


def _warn_of_scaled_twice(net: Sequential, batch: Batch, name: str) -> None:
    """Warn if numbers from 0 to 1 are divided as if they were pixels."""
    places = _inputs(net.graph, batch, name)
    for node in net.graph.nodes:
        layer = node.layer
        if node.inputs[0] not in places or not isinstance(layer, layers.Rescale):
            continue
        called, x = places[node.inputs[0]]
        rows = _first_rows(x)
        if rows.dtype.kind != "f" or rows.min() < 0 or not 0 < rows.max() <= 1:
            continue
        if 0 < abs(layer.scale) * BRIGHT <= 1:
            warn_caller(
                f"{called} holds numbers from 0 to {rows.max():.3g}, which Rescale (layer "
                f"{node.path}) multiplies by {layer.scale:.3g}: they seem to be scaled already. "
                f"Leave Rescale out, or give {in_code(called)} as it was recorded."
            )
            return
