"""Functions for all Matplotlib figures.

Figures are made without pyplot, so they need no display, and nobody has to close them. Lines differ
by brightness, dashes and marks: they can be read in grey.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FRONT, BACK = "#c07000", "#1f4e9c"  # light and dark, also in grey


def make_figure(
    rows: int, columns: int, *, width: float, height: float
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib, which comes with: pip install 'chainrule[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def mark_of(points: Any) -> str | None:
    """Mark points that a line hardly shows: where there are few."""
    return "o" if len(points) <= 20 else None


def set_logarithmic(ax: Axes, values: Any) -> None:
    """Let the axis show magnitudes, where they differ; zeros are left out then."""
    positive = [value for value in np.ravel(values) if 0 < value < inf]
    if positive and max(positive) > 10 * min(positive):
        ax.set_yscale("log")
