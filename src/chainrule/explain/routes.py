"""The paths between links, and the chain rule over them: a product along each path, summed.

Where paths branch at one link and merge at another, the derivative of the second by the first is a
sum with a term for each path. Links that lie on all paths to the loss separate the factors of the
product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import NamedTuple

from chainrule.explain.link import Link
from chainrule.explain.path import Factor, Term
from chainrule.explain.step import Float64, LayerStep


class Product(NamedTuple):
    """The factors, beginning at the loss, and the product after each of them."""

    factors: tuple[Factor, ...]
    running: tuple[Float64, ...]


class Routes:
    """The paths through the links of a chain to the loss.

    Parameters
    ----------
    links : sequence of Link
        In topological order: each after its inputs.
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self._links, self._loss = links, len(links)
        # For each link, the links that take its value, and as which operand.
        self._successors: list[list[tuple[int, int]]] = [[] for _ in links]
        for position, link in enumerate(links):
            for operand, before in enumerate(link.inputs):
                self._successors[before].append((position, operand))
        # For each link, the links that depend on it, as a bit mask.
        self._reached = [0] * len(links)
        for position in reversed(range(len(links))):
            for successor, _ in self._successors[position]:
                self._reached[position] |= self._reached[successor] | 1 << successor
        # The first link that all paths from it go through: its immediate post-dominator.
        self._next = [self._loss] * len(links)
        for position in reversed(range(len(links))):
            if self._successors[position]:
                self._next[position] = self._merge_point(
                    [successor for successor, _ in self._successors[position]]
                )
        self._factors: dict[int, Factor] = {}

    def following(self, position: int) -> int | None:
        """Return the next link that all paths from this one go through; None if it is the loss."""
        return self._or_none(self._next[position])

    def start(self, name: str) -> int | None:
        """Return the first link that all paths from a parameter go through; None if the loss."""
        return self._or_none(self._merge_point([position for position, _ in self.places(name)]))

    def _or_none(self, position: int) -> int | None:
        return None if position == self._loss else position

    def of_link(self, position: int) -> Product:
        """Return the chain rule from the loss to a link's value."""
        passed = self._passed(position, self._loss)[::-1]
        return Product(
            tuple(map(self.factor, passed)), tuple(self._links[i].gradient for i in passed)
        )

    def of_parameter(self, name: str, symbol: str, shape: tuple[int, ...]) -> Product:
        """Return the chain rule from the loss to a parameter, in all its places."""
        parameter = name.rpartition(".")[2]
        places = self.places(name)
        starts = [position for position, _ in places]
        end = self._merge_point(starts)
        terms = []
        for position, step in places:
            value = self._links[position].parameter_jacobian(name)
            factor = self._between(position, symbol, prod(shape), value, starts)
            gradient = step.parameter_gradient(parameter, step.gradient)
            terms.append(self._term(factor, position, end, gradient))
        before = Product((), ()) if end == self._loss else self.of_link(end)
        last = self._joined(terms, end, symbol, prod(shape))
        gradient = sum((term.gradient for term in terms[1:]), terms[0].gradient)
        return Product((*before.factors, last), (*before.running, gradient))

    def places(self, name: str) -> list[tuple[int, LayerStep]]:
        """Return where a parameter is used: the links' positions, and the layers there."""
        owner = name.rpartition(".")[0]
        return [
            (position, step)
            for position, link in enumerate(self._links)
            for step in link.steps
            if step.node.owner == owner
        ]

    def single(self, position: int) -> list[tuple[Link, int]]:
        """Return the links after this one, with the operand that each takes from the one before.

        Raises
        ------
        ValueError
            If paths branch.
        """
        links = []
        while self._successors[position]:
            if len(self._successors[position]) > 1:
                raise ValueError(f"paths branch at link {self._links[position].symbol}.")
            position, operand = self._successors[position][0]
            links.append((self._links[position], operand))
        return links

    def _merge_point(self, positions: Sequence[int]) -> int:
        """Return the first link that all paths from all of these go through."""
        return reduce(self._merge_point_of_two, positions)

    def _merge_point_of_two(self, one: int, other: int) -> int:
        while one != other:
            if one < other:
                one = self._next[one]
            else:
                other = self._next[other]
        return one

    def _passed(self, start: int, end: int) -> list[int]:
        """Return ``start`` and the links that all paths from it go through, before ``end``."""
        passed = []
        while start != end:
            passed.append(start)
            start = self._next[start]
        return passed

    def factor(self, start: int) -> Factor:
        """Return the derivative, by this link, of the next link that all paths go through, or L."""
        if start not in self._factors:
            link, end = self._links[start], self._next[start]
            size = link.value.shape[1]
            successors = [successor for successor, _ in self._successors[start]]
            terms = []
            for successor, operand in self._successors[start]:
                taking = self._links[successor]
                value = taking.jacobians[operand]
                factor = self._between(successor, link.symbol, size, value, successors)
                terms.append(self._term(factor, successor, end, taking.input_gradients[operand]))
            if terms:
                self._factors[start] = self._joined(terms, end, link.symbol, size)
            else:
                by_output = link.gradient[:, None]
                self._factors[start] = self._between(end, link.symbol, size, by_output)
        return self._factors[start]

    def _between(
        self, of: int, by: str, size: int, value: Float64 | None, successors: Sequence[int] = ()
    ) -> Factor:
        """Return a factor; ``successors`` are the links that read ``by``."""
        rows = len(self._links[0].value)
        if of == self._loss:
            return Factor("L", by, (rows, 1, size), value)
        link = self._links[of]
        immediate = any(self._reached[successor] >> of & 1 for successor in successors)
        shape = rows, link.value.shape[1], size
        return Factor(link.symbol, by, shape, value, immediate=immediate)

    def _term(self, last: Factor, start: int, end: int, gradient: Float64) -> Term:
        """Return the term of the path through ``last`` to ``start``, and on to ``end``."""
        return Term((*map(self.factor, self._passed(start, end)[::-1]), last), gradient)

    def _joined(self, terms: list[Term], end: int, by: str, size: int) -> Factor:
        """Return the only term's factor, or the sum of several terms."""
        if len(terms) == 1:
            return terms[0].factors[0]
        whole = self._between(end, by, size, None)
        terms = sorted(terms, key=lambda term: len(term.factors) > 1)  # the direct path first
        return replace(whole, value=self._sum(terms, prod(whole.shape)), terms=tuple(terms))

    def _sum(self, terms: list[Term], elements: int) -> Float64 | None:
        """Return the sum of the terms' products, where all of them can be built."""
        if elements > self._links[0].max_elements:
            return None
        products = [self._product(term.factors) for term in terms]
        known = [product for product in products if product is not None]
        return sum(known[1:], known[0]) if len(known) == len(products) else None

    def _product(self, factors: Sequence[Factor]) -> Float64 | None:
        product = factors[0].value
        for factor in factors[1:]:
            if product is None or factor.value is None:
                return None
            if product[..., 0].size * factor.shape[2] > self._links[0].max_elements:
                return None
            product = product @ factor.value
        return product
