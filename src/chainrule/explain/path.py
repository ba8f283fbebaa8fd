"""The chain rule for one parameter: the factors from the loss to it, and what they multiply to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from chainrule.explain import notation
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.step import Float64
from chainrule.explain.text import equation, number, numbers, paragraph, table
from chainrule.utils import fragment
from chainrule.utils.arrays import FloatArray

MOST_NUMBERS = 40  # of a factor's elements that are printed
MOST_NAMED = 6  # links on one path


@dataclass(frozen=True, eq=False)
class Factor:
    """One fraction of the chain: a derivative, as a matrix for each row of the batch.

    Attributes
    ----------
    of, by : str
        Symbols: the factor is d(of)/d(by).
    shape : tuple of int
        (rows, size of ``of``, size of ``by``).
    value : float64 array of that shape, or None
        None where it would be larger than ``max_elements`` of :func:`explain`; then only the
        product of the factors up to this one is known.
    terms : tuple of Term
        Where several paths lead from ``by`` to ``of``, a term for each: the factor is their sum.
    immediate : bool
        Whether it is the derivative along the direct path alone, with the values on all other paths
        held fixed.
    """

    of: str
    by: str
    shape: tuple[int, int, int]
    value: Float64 | None = field(repr=False)
    terms: tuple[Term, ...] = ()
    immediate: bool = False

    def format(self, style: Notation) -> str:
        """Return the fraction in a notation."""
        return style.derivative(self.of, self.by, immediate=self.immediate)

    @property
    def norm(self) -> float | None:
        """Frobenius norm, over all rows; None if the factor is not built."""
        return None if self.value is None else float(np.linalg.norm(self.value))


@dataclass(frozen=True, eq=False)
class Term:
    """The product along one of several paths from a link, or a shared parameter, to a later link.

    Attributes
    ----------
    factors : tuple of Factor
        As in a :class:`Path`.
    gradient : float64 array
        Its term of the sum dL/d(by).
    """

    factors: tuple[Factor, ...]
    gradient: Float64 = field(repr=False)

    def format(self, style: Notation) -> str:
        """Return the product in a notation."""
        return style.join([factor.format(style) for factor in self.factors])

    def through(self, style: Notation) -> str:
        """Return the links on the path, the first one first."""
        between = [style.symbol(factor.by) for factor in self.factors[-2::-1]]
        if len(between) > MOST_NAMED:
            between = [*between[:2], "...", between[-1]]
        return f"through {', '.join(between)}" if between else "directly"


@dataclass(frozen=True, eq=False)
class Path:
    """The chain rule for one parameter. Printing it shows every factor.

    Attributes
    ----------
    symbol, name : str
        The parameter's, such as ``"W1"`` and ``"0.weight"``.
    factors : tuple of Factor
        From the loss to the parameter.
    running : tuple of float64 arrays
        After each factor, the product so far: dL/d(by). For a link of shape (rows, size); for the
        parameter, of its shape.
    engine : array
        The gradient from the engine's backward pass.
    max_elements : int
        Larger factors are not built.
    """

    symbol: str
    name: str
    factors: tuple[Factor, ...]
    running: tuple[Float64, ...]
    engine: FloatArray
    max_elements: int

    @property
    def gradient(self) -> Float64:
        """The last running product: the gradient, of the parameter's shape."""
        return self.running[-1]

    @property
    def equation(self) -> str:
        """The chain rule as one line."""
        return self.format(notation.of_terminal())

    def format(self, style: Notation) -> str:
        """Return the chain rule as one line, in a notation."""
        product = style.join([factor.format(style) for factor in self.factors])
        return f"{style.derivative('L', self.symbol)} = {product}"

    @property
    def sums(self) -> tuple[Factor, ...]:
        """The factors that are sums of several terms, and those within these terms."""
        return _sums(self.factors)

    def merge(self, position: int) -> Path:
        """Return the same path with the factors at ``position`` and after it multiplied to one.

        The variable between them cancels: dO/dH . dH/dX = dO/dX. If one of them is not built, their
        product is not either.

        Parameters
        ----------
        position : int
            Of the left one of the two, from 0.

        Raises
        ------
        IndexError
            If there are no two factors there.
        """
        if not 0 <= position < len(self.factors) - 1:
            raise IndexError(
                f"position must be from 0 to {len(self.factors) - 2}, not {position}: it takes two "
                "factors to merge."
            )
        left, right = self.factors[position : position + 2]
        shape = (left.shape[0], left.shape[1], right.shape[2])
        value = None
        if left.value is not None and right.value is not None and prod(shape) <= self.max_elements:
            value = left.value @ right.value
        merged = Factor(left.of, right.by, shape, value)
        factors = (*self.factors[:position], merged, *self.factors[position + 2 :])
        return replace(
            self,
            factors=factors,
            running=(*self.running[:position], *self.running[position + 1 :]),
        )

    def product(self) -> Float64 | None:
        """Return the product of the explicit factors, of the gradient's shape; None if not built.

        A parameter acts in every row, so its rows are added up; the input's rows stay apart.
        """
        path = self
        while len(path.factors) > 1:
            path = path.merge(0)
        value = path.factors[0].value
        if value is None:
            return None
        rows, _, size = value.shape
        shape = self.gradient.shape
        by_rows = value.reshape(rows, size)
        return (by_rows if prod(shape) == rows * size else by_rows.sum(axis=0)).reshape(shape)

    def _about(self) -> list[str]:
        """Return the notes on how to read the numbers, a paragraph each."""
        about = [_about_rows(self.factors[0].shape[0])]
        if any(factor.value is None for factor in self.factors):
            about.append(
                "A dash: too large to build (see max_elements); the product is computed by the "
                "factor's action on the product to the left."
            )
        return about

    def _table(self, style: Notation) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the factors as a table."""
        cells = []
        for factor, product in zip(self.factors, self.running, strict=True):
            cells.append(
                [
                    factor.format(style),
                    style.sizes(*factor.shape[1:]),
                    number(factor.norm),
                    style.derivative("L", factor.by),
                    number(float(np.linalg.norm(product))),
                ]
            )
        return ["factor", "shape", "norm", "product so far", "norm"], cells

    def __str__(self) -> str:
        style = notation.of_terminal()
        rows = self.factors[0].shape[0]
        lines = [*equation(self.format(style)), ""]
        for sentences in self._about():
            lines += paragraph(sentences)
        lines += ["", *table(*self._table(style))]
        for factor in self.sums:
            lines += ["", *paragraph(_about_terms(factor, style))]
            lines += [
                "",
                *equation(format_sum(factor, style)),
                "",
                *table(*_terms_table(factor, style)),
            ]
        for factor in self.factors:
            if factor.value is not None and factor.value.size <= MOST_NUMBERS:
                lines += ["", f"{factor.format(style)} ="]
                lines += numbers(factor.value[0] if rows == 1 else factor.value)
        if self.gradient.size <= MOST_NUMBERS:
            lines += ["", f"{style.derivative('L', self.symbol)} =", *numbers(self.gradient)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            fragment.equation(self.format(SYMBOLS)),
            fragment.table(*self._table(SYMBOLS)),
            *map(fragment.paragraph, self._about()),
            *(part for factor in self.sums for part in _terms_in_html(factor)),
        )


def _sums(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    found: list[Factor] = []
    for factor in factors:
        found += [factor] if factor.terms else []
        for term in factor.terms:
            found += _sums(term.factors)
    return tuple(found)


def _about_terms(factor: Factor, style: Notation) -> str:
    of, by = map(style.symbol, (factor.of, factor.by))
    about = f"{len(factor.terms)} paths lead from {by} to {of}, and the derivative is their sum"
    if any(part.immediate for term in factor.terms for part in term.factors):
        about += f" ({style.d}{style.immediate}: the direct path alone)"
    return f"{about}:"


def format_sum(factor: Factor, style: Notation) -> str:
    """Return the chain rule's sum as one line."""
    return f"{factor.format(style)} = {' + '.join(term.format(style) for term in factor.terms)}"


def _terms_table(factor: Factor, style: Notation) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table: each path's term of the gradient."""
    by = style.derivative("L", factor.by)
    rows = [
        [term.through(style), number(float(np.linalg.norm(term.gradient)))] for term in factor.terms
    ]
    whole = sum(term.gradient for term in factor.terms)
    rows.append(["all paths", number(float(np.linalg.norm(whole)))])
    return ["path", f"norm of its part of {by}"], rows


def _terms_in_html(factor: Factor) -> list[str]:
    return [
        fragment.paragraph(_about_terms(factor, SYMBOLS)),
        fragment.equation(format_sum(factor, SYMBOLS)),
        fragment.table(*_terms_table(factor, SYMBOLS)),
    ]


def _about_rows(rows: int) -> str:
    if rows == 1:
        return "One row of data: each factor is a matrix, and the product is taken from the left."
    return (
        f"{rows} rows of data: each factor is a matrix for each row, the product is taken from the "
        "left, and a parameter's gradient is the sum over the rows."
    )
