"""All paths from one weight to the loss, whose contributions add up to its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, prod
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explain import notation
from chainrule.explain.entry import entry_of
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.step import Float64
from chainrule.explain.text import WIDTH, number, paragraph, table
from chainrule.utils import fragment
from chainrule.utils.arguments import integer
from chainrule.utils.wording import count, plural

if TYPE_CHECKING:
    from chainrule.explain.link import Link
    from chainrule.explain.links import Links


@dataclass(frozen=True)
class Route:
    """One path from the entry to the loss, for one row of the batch.

    Attributes
    ----------
    row : int
    units : tuple of int
        The unit of each link that it goes through.
    factors : tuple of float
        The derivatives along it, from the entry on; the last is the loss's by the output.
    contribution : float
        Their product.
    """

    row: int
    units: tuple[int, ...]
    factors: tuple[float, ...]
    contribution: float


@dataclass(frozen=True)
class Trace:
    """The paths that :meth:`Chain.trace` found. Printing it shows the paths and their sum.

    Attributes
    ----------
    symbol, name, index
        The entry, such as ``"W1"``, ``"0.weight"`` and ``(2, 0)``.
    links : tuple of str
        Symbols of the links that the paths go through.
    routes : tuple of Route
        The paths with the largest contributions, the largest first; none that is 0.
    paths, nonzero : int
        How many there are over all rows, and how many have no factor that is 0.
    total : float
        The sum of all contributions: the gradient's entry.
    engine : float
        What the engine's one pass gave for it.
    """

    symbol: str
    name: str
    index: tuple[int, ...]
    links: tuple[str, ...]
    routes: tuple[Route, ...]
    paths: int
    nonzero: int
    total: float
    engine: float

    @property
    def shown(self) -> float:
        """The sum of the contributions of ``routes``."""
        return fsum(route.contribution for route in self.routes)

    @property
    def others(self) -> float:
        """The sum of all other contributions."""
        return self.total - self.shown if len(self.routes) < self.nonzero else 0.0

    def _about(self, style: Notation) -> str:
        are = "is" if self.nonzero == 1 else "are"
        about = (
            f"{style.d}L/{style.d}{style.entry(self.symbol, self.index)} = {number(self.total)}: "
            f"the sum over {plural(self.paths, 'path')}, of which {count(self.nonzero)} {are} not 0"
        )
        shown = len(self.routes)
        if shown == self.nonzero:
            return f"{about}:" if shown else f"{about}."
        return f"{about}. The {f'{shown:,} ' if shown > 1 else ''}largest:"

    def _routes(self, style: Notation) -> list[list[str]]:
        """Return each path and its contribution."""
        return [[self._route(route, style), _calculation(route, style)] for route in self.routes]

    def _sums(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the sums as a table."""
        return ["", "paths", "sum"], [
            ["these", count(len(self.routes)), number(self.shown)],
            ["the others", count(self.nonzero - len(self.routes)), number(self.others)],
            ["all", count(self.nonzero), number(self.total)],
            ["the engine's one pass", "", number(self.engine)],
        ]

    def __str__(self) -> str:
        style = notation.of_terminal()
        cells = self._routes(style)
        routes = table(["", ""], cells)[1:]
        if max(map(len, routes), default=0) > WIDTH:
            routes = [
                line
                for path, calculation in cells
                for line in (*_indented(path, 0), *_indented(calculation, 4))
            ]
        about = paragraph(self._about(style))
        return "\n".join([*about, "", *routes, "", *table(*self._sums())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            fragment.paragraph(self._about(SYMBOLS)),
            fragment.table(["", ""], self._routes(SYMBOLS)) if self.routes else "",
            fragment.table(*self._sums()),
        )

    def _route(self, route: Route, style: Notation) -> str:
        entry = style.entry(self.symbol, self.index)
        units = [
            style.entry(symbol, [unit])
            for symbol, unit in zip(self.links, route.units, strict=True)
        ]
        return f"row {route.row}: " + f" {style.arrow} ".join([entry, *units, "L"])


def _calculation(route: Route, style: Notation) -> str:
    return f" {style.by} ".join(map(number, route.factors)) + f" = {number(route.contribution)}"


def _indented(text: str, columns: int) -> list[str]:
    indent = " " * columns
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "    ")


def trace(chain: Links, name: str, index: Any, top: int) -> Trace:
    """Find every path from an entry to the loss; see :meth:`Chain.trace`."""
    top = integer(top, "top", least=1)
    position = chain.find_link(name)
    start = chain.link_of(name)
    if position is None:
        name = chain.find(name)
        symbol, engine = chain.symbols[name], chain.gradients[name]
    else:
        symbol, engine = chain.links[start].symbol, chain.link_gradients[start]
        name = symbol if start else "x"
    index = entry_of(index, symbol, engine.shape)
    rows = np.arange(chain.rows)
    try:
        behind = chain.routes.single(start)
    except ValueError as error:
        raise ValueError(f"trace needs a network that does not branch there: {error}") from None
    links = [chain.links[start], *(link for link, _ in behind)]
    # Matrices for each row, from the entry, which is one column, to the loss, which is one row.
    matrices = []
    if position is None:
        if len(chain.routes.places(name)) > 1:
            raise ValueError(f"trace needs a parameter in one place, but {symbol} is in several.")
        column = np.array([np.ravel_multi_index(index, engine.shape)])
        matrices.append(_built(chain, links[0], links[0].parameter_jacobian(name, column)))
    matrices += [_built(chain, link, link.jacobians[operand]) for link, operand in behind]
    matrices.append(links[-1].gradient[:, np.newaxis])
    if position is not None:
        links, rows = links[1:], rows[index[0] : index[0] + 1]
        matrices[0] = matrices[0][:, :, [index[1]]]
    factors = [matrix[rows] for matrix in matrices]
    paths = len(rows) * prod(link.value.shape[1] for link in links)
    total, nonzero = _sum_and_number(factors, paths)
    return Trace(
        symbol,
        name,
        index,
        tuple(link.symbol for link in links),
        tuple(_largest(factors, rows, top)),
        paths,
        nonzero,
        total,
        float(engine[index]),
    )


def _built(chain: Links, link: Link, jacobian: Float64 | None) -> Float64:
    if jacobian is None:
        raise ValueError(
            f"A Jacobian of link {link.symbol} has more than max_elements = "
            f"{link.max_elements:,} elements over the {plural(chain.rows, 'row')} of the batch, so "
            "its paths cannot be followed: give explain a larger max_elements, or fewer rows."
        )
    return jacobian


def _sum_and_number(factors: list[Float64], paths: int) -> tuple[float, int]:
    """Return the sum of all contributions, and how many paths have no factor that is 0."""
    whole = np.dtype(np.int64 if paths < 2**63 else object)  # object: Python's integers
    product, number_of = factors[0], (factors[0] != 0).astype(whole)
    for factor in factors[1:]:
        product, number_of = factor @ product, (factor != 0).astype(whole) @ number_of
    return float(product.sum()), int(number_of.sum())


def _largest(factors: list[Float64], rows: NDArray[np.int64], top: int) -> list[Route]:
    """Return the ``top`` paths of largest contribution, by dynamic programming.

    The factors after a unit do not depend on the path to it, so the best paths to the loss begin
    with best paths to each unit. These are stored link by link, sorted.
    """
    size_of = np.ones((len(rows), 1, 1))  # row, unit, rank: the product along each best path
    units = np.zeros((len(rows), 1, 1, 0), np.int64)  # ... and the units on it
    for factor in factors:
        size_of, units = _next_largest(np.abs(factor), size_of, units, top)
    # The last unit is L itself.
    order = np.argsort(-size_of, axis=None, kind="stable")[:top]
    routes = []
    for row, _, rank in zip(*np.unravel_index(order, size_of.shape), strict=True):
        path = [0, *map(int, units[row, 0, rank])]
        steps = zip(factors, path[:-1], path[1:], strict=True)
        along = tuple(float(factor[row, to, start]) for factor, start, to in steps)
        if prod(along) != 0:
            routes.append(Route(int(rows[row]), tuple(path[1:-1]), along, prod(along)))
    return routes


def _next_largest(
    factor: Float64, size_of: Float64, units: NDArray[np.int64], top: int
) -> tuple[Float64, NDArray[np.int64]]:
    """Extend the paths by one link: merge, for each unit, the sorted paths to the units before."""
    rows, size, before = factor.shape
    ranks = size_of.shape[2]
    row, unit = np.ogrid[:rows, :size]
    head = factor * size_of[:, np.newaxis, :, 0]  # the best path of each unit that is not taken yet
    taken = np.zeros(head.shape, np.int64)
    largest = np.empty((rows, size, min(top, before * ranks)))
    came_from = np.empty((2, *largest.shape), np.int64)  # unit before, and rank there
    for rank in range(largest.shape[2]):
        best = head.argmax(axis=2)
        largest[:, :, rank] = head[row, unit, best]
        came_from[:, :, :, rank] = best, taken[row, unit, best]
        taken[row, unit, best] += 1
        following = taken[row, unit, best]
        head[row, unit, best] = np.where(
            following < ranks,
            factor[row, unit, best] * size_of[row, best, np.minimum(following, ranks - 1)],
            -1,  # none is left
        )
    here = np.broadcast_to(unit[..., np.newaxis, np.newaxis], (*largest.shape, 1))
    paths = units[row[..., np.newaxis], came_from[0], came_from[1]]
    return largest, np.concatenate([paths, here], axis=3)
