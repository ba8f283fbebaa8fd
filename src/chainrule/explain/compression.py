"""The chain rule compressed to one fraction: neighbours cancel, until one derivative is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.explain import notation
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.path import Path
from chainrule.explain.text import equation, paragraph
from chainrule.utils import fragment


@dataclass(frozen=True, eq=False)
class Compression:
    """What :meth:`Chain.compress` found. Printing it shows each step, and the proof.

    Attributes
    ----------
    paths : tuple of Path
        The path as it was, and after each cancellation; the last one has a single factor.
    difference : float
        The largest difference between an entry of the product and of the engine's gradient.
    ulp : float
        The same in units in the last place of the gradient's largest entry, in the engine's dtype.
    explicit : bool
        Whether the product is one of explicit Jacobians. Where one of them was too large, each
        factor acted on the product to the left of it instead.
    """

    paths: tuple[Path, ...]
    difference: float
    ulp: float
    explicit: bool

    @property
    def proof(self) -> str:
        """How far the product and the engine's gradient are apart, in words."""
        product = "The explicit Jacobians, multiplied," if self.explicit else "The factors' actions"
        engine = self.paths[0].engine
        return (
            f"{product} in float64 and the engine's one pass in {engine.dtype.name} differ by at "
            f"most {self.difference:.1e}: {self.ulp:.2g} ulp of the largest entry, "
            f"{np.abs(engine).max(initial=0):.4g}."
        )

    def _lines(self, style: Notation) -> list[str]:
        """Return the equation as it was, and what cancels with the equation after it."""
        lines = [self.paths[0].format(style)]
        for before, after in zip(self.paths, self.paths[1:], strict=False):
            gone = style.d + style.symbol(before.factors[0].by)
            lines.append(f"  {gone} cancels: {after.format(style)}")
        return lines

    def __str__(self) -> str:
        lines = []
        for line in self._lines(notation.of_terminal()):
            lines += equation(line.strip(), "  " if line.startswith(" ") else "")
        return "\n".join([*lines, "", *paragraph(self.proof)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return fragment.of_parts(
            *map(fragment.equation, self._lines(SYMBOLS)), fragment.paragraph(self.proof)
        )


def compress(path: Path) -> Compression:
    """Cancel the path's neighbours from the left, and compare the result with the engine's."""
    paths = [path]
    while len(paths[-1].factors) > 1:
        paths.append(paths[-1].merge(0))
    product = path.product()
    explicit = product is not None
    compared = path.gradient if product is None else product
    difference = float(np.abs(compared - path.engine).max(initial=0))
    largest = np.abs(path.engine).max(initial=0)
    return Compression(tuple(paths), difference, difference / float(np.spacing(largest)), explicit)
