"""Functions for all Matplotlib figures.

Figures are made without pyplot, so they need no display and need not be closed; a notebook shows
the figure that a cell returns. Lines differ in
brightness, dashes and markers, so that they can be read in greyscale.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chainrule.utils.figure import Figure

FRONT, BACK = "#c07000", "#1f4e9c"  # light and dark, also in greyscale


def make_figure(
    rows: int, columns: int, *, width: float, height: float
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row."""
    try:
        from chainrule.utils.figure import Figure
    except ImportError as error:
        raise ImportError("Figures need matplotlib: pip install 'chainrule[plot]'") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def mark_of(points: Any) -> str | None:
    """Return a marker if there are few points, so that a line hardly shows them."""
    return "o" if len(points) <= 20 else None


def set_logarithmic(ax: Axes, values: Any) -> None:
    """Use a logarithmic axis if the magnitudes differ; it does not show zeros."""
    positive = [value for value in np.ravel(values) if 0 < value < inf]
    if positive and max(positive) > 10 * min(positive):
        ax.set_yscale("log")
