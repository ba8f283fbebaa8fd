"""A warning where pixels from 0 to 255 reach a layer with weights without being rescaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import layers
from chainrule.layers.container import Container
from chainrule.layers.convolution import Windowed
from chainrule.layers.graph import layer_text
from chainrule.models.sequential import Sequential
from chainrule.utils.inputs import Batch, arrays_of, input_names
from chainrule.utils.warning import warn_caller

SUMMING = layers.Linear, Windowed  # large inputs give them large outputs and gradients
# What comes out of them is as large as what comes in. No Columns: these divide tables, not images.
PASSING = (
    *(Container, layers.Identity, layers.Flatten, layers.Dropout, layers.ZeroPad, layers.Upsample),
    *(layers.RandomShift, layers.RandomFlip, layers.RandomCrop),
    *(layers.MaxPool1d, layers.MaxPool2d, layers.GlobalMaxPool),
    *(layers.AvgPool1d, layers.AvgPool2d, layers.GlobalAvgPool),
)
ROWS = 256  # are looked at: X may be a file that is larger than the memory
BRIGHT = 128  # some pixel of many images is, but few counts are as large


def warn_of_pixels(net: Sequential, batch: Batch, name: str) -> None:
    """Warn if a linear layer or a convolution takes uint8 numbers as they are."""
    graph = net.graph
    arrays = arrays_of(batch)
    names = input_names(name, graph.inputs)
    # Where the numbers of an input are unscaled: the input's name, by place in the graph.
    unscaled = {
        place: called
        for (place, called), x in zip(graph.at_inputs(names).items(), arrays, strict=True)
        if _has_pixels(x)
    }
    for position, node in enumerate(graph.nodes):
        called = next((unscaled[i] for i in node.inputs if i in unscaled), "")
        if called and isinstance(node.layer, SUMMING):
            warn_caller(
                f"{called} holds uint8 numbers up to 255, which {layer_text(node.layer)} (layer "
                f"{node.path}) takes as they are; with inputs so large, training is slow or fails. "
                "Begin the network with Rescale(1 / 255), which makes them numbers from 0 to 1."
            )
            return
        if called and isinstance(node.layer, PASSING):
            unscaled[position] = called


def _has_pixels(x: NDArray[Any]) -> bool:
    """Return whether an array's first rows have pixels, from 0 to 255."""
    return x.dtype == np.uint8 and bool((x[:ROWS] >= BRIGHT).any())
