"""The figures of a page whose network is too large to run in it: they are computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explain.heat_map import block_shape, shrink
from chainrule.explain.influence import influence
from chainrule.explain.notation import SYMBOLS
from chainrule.explain.nudge import Ray
from chainrule.explain.progress import tracked
from chainrule.explain.proof import figure, proof_data
from chainrule.explain.step import Float64

if TYPE_CHECKING:
    from chainrule.explain.compression import Compression
    from chainrule.explain.link import Link
    from chainrule.explain.links import Links
    from chainrule.explain.path import Factor

# These limits keep a page below a megabyte, and the time to make it below a minute.
MOST_CELLS = 70_000  # of all heat maps: up to ten bytes each
GRADIENT_CELLS = 4  # times those of a factor, as a path has one gradient and several factors
MOST_ROWS = 8
MOST_NUDGED = 240  # entries that can be nudged
NUDGED_EACH = 4  # of one parameter
MOST_PIXELS = 10_000  # of pictures, in all rows
NUDGE_WORK = 5e9  # multiply-adds of the passes of all nudges

STEPS = 10  # of a nudge, in each direction


@dataclass(frozen=True)
class Budget:
    """How much a page shows, so that it stays small and is made quickly.

    Attributes
    ----------
    rows : int
        Of the batch, whose factors are shown.
    cells : int
        Of one factor's heat map.
    nudged : int
        Entries of each parameter that can be nudged.
    """

    rows: int
    cells: int
    nudged: int

    @classmethod
    def for_chain(cls, chain: Links) -> Budget:
        """Divide the limits among all factors and gradients."""
        rows, cells = _rows_and_cells(chain)
        paths = 1 + len(chain.symbols)
        # A forward pass for each change, and one forward and backward pass: three products.
        passes = 2 * STEPS + 1 + 3
        pass_work = chain.rows * max(1, chain.network.params.size)
        affordable = int(NUDGE_WORK / (paths * passes * pass_work))
        return cls(rows, cells, min(NUDGED_EACH, MOST_NUDGED // paths, affordable))


def _rows_and_cells(chain: Links) -> tuple[int, int]:
    """Return how many rows are shown, and the most cells of a factor's map, that fit."""
    parameters = {name: chain.gradients[name].size for name in chain.symbols}
    routes = chain.routes

    def size_of(position: int | None) -> int:
        return 1 if position is None else chain.links[position].value.shape[1]

    factors = [size_of(i) * size_of(routes.following(i)) for i in range(len(chain.links))]
    factors += [size * size_of(routes.start(name)) for name, size in parameters.items()]
    built = [size for size in factors if size * chain.rows <= chain.links[0].max_elements]
    gradients = [chain.x.size, *parameters.values()]
    most = min(chain.rows, MOST_ROWS)
    choices = [(rows, cells) for rows in range(most, 0, -1) for cells in (4096, 2048, 1024, 512)]
    choices += [(1, cells) for cells in (256, 64, 16)]
    for rows, cells in choices:
        of_factors = rows * sum(min(size, cells) for size in built)
        of_gradients = sum(min(size, GRADIENT_CELLS * cells) for size in gradients)
        if of_factors + of_gradients <= MOST_CELLS:
            return rows, cells
    return choices[-1]


def precomputed_figures(chain: Links) -> dict[str, Any]:
    """Return the figures by the names that they have in the page's data."""
    budget, measures, links = Budget.for_chain(chain), influence(chain, None), chain.links
    return {
        "links": [
            {
                "norm": figure(np.linalg.norm(link.value)),
                "gradient": figure(np.linalg.norm(link.gradient)),
                "dead": of_link.dead,
                "saturated": of_link.saturated,
            }
            for link, of_link in zip(links, measures.links, strict=True)
        ],
        # By each link. A parameter's path has one more.
        "factors": [_factor(chain.routes.factor(i), budget) for i in range(len(links))],
        "paths": [
            _path(chain, name, chain.compress(name), budget)
            for name in tracked(("x", *chain.symbols), "Computing the page")
        ],
        "inputs": _inputs(links[0], budget.rows) if chain.picture else None,
        "limits": {"rows": budget.rows},
    }


def _inputs(link: Link, rows: int) -> list[Any] | None:
    """Return the rows that are shown, and the gradients by them; None if they are too large."""
    arrays = [array[:rows] for array in (link.value, link.gradient)]
    if arrays[0].size > MOST_PIXELS:
        return None
    return [[[figure(value, 3) for value in row] for row in array] for array in arrays]


def _factor(factor: Factor, budget: Budget) -> dict[str, Any]:
    """Return one factor: norm and heat map of each row that is shown; neither if not built."""
    data: dict[str, Any] = {
        "of": SYMBOLS.symbol(factor.of),
        "by": SYMBOLS.symbol(factor.by),
        "shape": factor.shape[1:],
        "norm": figure(factor.norm),
    }
    if factor.value is not None:
        shown = factor.value[: budget.rows]
        data["norms"] = [figure(np.linalg.norm(matrix)) for matrix in shown]
        data["maps"] = [_heat_map(matrix, budget.cells) for matrix in shown]
    return data


def _heat_map(matrix: Float64, most_cells: int) -> dict[str, Any]:
    rows, columns = matrix.shape
    block = block_shape(rows, columns, most_cells)
    cells = [[figure(value, 3) for value in row] for row in shrink(matrix, block)]
    return {"shape": [rows, columns], "block": block, "cells": cells}


def _path(chain: Links, name: str, compression: Compression, budget: Budget) -> dict[str, Any]:
    path = compression.paths[0]
    is_input = name == "x"
    shape = chain.x.shape if is_input else path.gradient.shape
    matrix = path.gradient.reshape(-1, shape[-1]) if shape else path.gradient.reshape(1, 1)
    return {
        "factor": None if is_input else _factor(path.factors[-1], budget),
        "merged": figure(compression.paths[-1].factors[0].norm),
        "norm": figure(np.linalg.norm(path.gradient)),
        "map": _heat_map(matrix, GRADIENT_CELLS * budget.cells),
        "nudge": _nudge(chain, name, path.gradient.reshape(shape), budget.nudged),
        **proof_data(compression),
    }


def _nudge(chain: Links, name: str, gradient: Float64, entries: int) -> dict[str, Any] | None:
    """Return how the loss moves when the entries with the largest gradients are changed."""
    if entries == 0 or gradient.size == 0 or (name == "x" and chain.network.takes_codes):
        return None
    array = chain.x if name == "x" else chain.network.parameters()[name]
    # To one digit, so that each step is a round number.
    span = float(f"{2 * float(np.abs(array).max()):.1g}") or 1.0
    largest = np.argsort(-np.abs(gradient), axis=None, kind="stable")[:entries]
    indices = [tuple(map(int, np.unravel_index(flat, array.shape))) for flat in largest]
    ray = Ray(chain.network, chain.loss_function, chain.x, chain.target, name, indices[0])
    return {
        "span": span,
        "entries": [
            {"index": index, "value": figure(array[index]), **_moves(ray, index, span)}
            for index in indices
        ],
    }


def _moves(ray: Ray, index: tuple[int, ...], span: float) -> dict[str, Any]:
    ray.point_at(index)
    loss, slope = ray.loss_and_slope(0.0)
    moves = [ray.loss(span * step / STEPS) - loss for step in range(-STEPS, STEPS + 1)]
    return {"slope": figure(slope), "moves": [figure(move) for move in moves]}
