"""Matplotlib figures: of a chain, a path, and a training's flow of gradients.

Colours differ in brightness, so that all figures can be read in greyscale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explain.notation import SYMBOLS
from chainrule.explain.text import number
from chainrule.utils.plotting import BACK, FRONT, make_figure, mark_of, set_logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chainrule.explain.influence import Influence
    from chainrule.explain.path import Path
    from chainrule.training.history import GradientRecords

DASHES = ("-", "--", "-.", ":")
MOST_LABELS = 16  # below each other
USUAL_RATIO = 1e-3  # of an update to its weight


def of_chain(influence: Influence) -> Figure:
    """Draw signal and gradient by link."""
    figure, axes = make_figure(1, 2, width=9, height=3.6)
    names = [_literal(SYMBOLS.symbol(link.symbol)) for link in influence.links]
    signal = axes[0], "signal, forward →", "root mean square of the value"
    gradient = axes[1], "← gradient, back", f"length of a row of {SYMBOLS.derivative('L', 'link')}"
    for (ax, title, label), values, colour, mark in (
        (signal, [link.forward for link in influence.links], FRONT, "o"),
        (gradient, [link.backward for link in influence.links], BACK, "s"),
    ):
        ax.plot(range(len(names)), values, color=colour, marker=mark)
        ax.set(title=title, ylabel=label, xticks=range(len(names)), xticklabels=names)
        set_logarithmic(ax, values)
    return figure


def of_path(path: Path) -> Figure:
    """Draw the factors of a path, their means over the rows, and the gradient."""
    parts = [(factor.format(SYMBOLS), factor.shape[1:], factor.value) for factor in path.factors]
    panels = [
        (title, shape, None if value is None else value.mean(axis=0))
        for title, shape, value in parts
    ]
    gradient = np.atleast_2d(path.gradient)
    shape = gradient.shape[0], gradient.shape[1]
    panels.append((f"= {SYMBOLS.derivative('L', path.symbol)}", shape, gradient))
    figure, axes = make_figure(1, len(panels), width=2.6 * len(panels), height=3.4)
    for ax, (title, shape, value) in zip(axes, panels, strict=True):
        ax.set(xticks=[], yticks=[], title=f"{_literal(title)}\n{SYMBOLS.sizes(*shape)}")
        if value is None:
            ax.text(0.5, 0.5, "too large\nto build", ha="center", va="center")
            continue
        largest = float(np.abs(value).max(initial=0)) or 1.0
        image = ax.imshow(value, cmap="cividis", vmin=-largest, vmax=largest, aspect="auto")
        bar = figure.colorbar(image, ax=ax, location="bottom", ticks=[-largest, 0, largest])
        labels = [number(tick, 2) for tick in (-largest, 0.0, largest)]
        bar.ax.set_xticklabels(labels, fontsize="small")
    rows = path.factors[0].shape[0]
    title = path.format(SYMBOLS)
    if rows > 1:
        title += f"\nfactors: mean of {rows} rows"
    figure.suptitle(_literal(title))
    return figure


def of_flow(flow: GradientRecords) -> Figure:
    """Draw the signal and gradient of each link, and the update of each weight, over the steps."""
    figure, axes = make_figure(1, 3, width=14, height=3.8)
    links = [_literal(SYMBOLS.symbol(link)) for link in flow.links]
    _lines(axes[0], flow.steps, flow.forward, links)
    axes[0].set(title="signal: root mean square")
    _lines(axes[1], flow.steps, flow.backward, links)
    axes[1].set(title=f"gradient: length of a row of {SYMBOLS.derivative('L', 'link')}")
    # Biases often begin at 0, where their ratios are infinite.
    weights = [column for column, is_matrix in enumerate(flow.is_matrix) if is_matrix]
    symbols = [_literal(SYMBOLS.symbol(flow.symbols[column])) for column in weights]
    _lines(axes[2], flow.steps, flow.update_ratio[:, weights], symbols)
    axes[2].axhline(USUAL_RATIO, color="0.6", lw=6, alpha=0.4, zorder=0)
    axes[2].set(title="update / weight (grey: usual)")
    return figure


def _lines(ax: Axes, steps: Any, values: Any, names: list[str]) -> None:
    """Draw a line for each column, from light at the input to dark at the output."""
    for column in range(len(names)):
        grey = 0.75 * (1 - column / max(len(names) - 1, 1))
        ax.plot(
            steps, values[:, column], color=(grey * 0.9, grey * 0.95, grey + 0.2),
            ls=DASHES[column % len(DASHES)], marker=mark_of(steps), ms=4,
        )  # fmt: skip
    ax.set(xlabel="step")
    set_logarithmic(ax, values)
    if names:
        # The output on top, as in texts. A line's own label is left out if it begins with "_".
        ax.legend(
            ax.get_lines()[::-1], names[::-1],
            fontsize="small", ncols=-(-len(names) // MOST_LABELS),
            bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False,
        )  # fmt: skip


def _literal(name: str) -> str:
    """Return a text that Matplotlib shows literally, without reading dollars as mathematics."""
    return name.replace("$", r"\$")
