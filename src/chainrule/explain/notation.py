"""How derivatives are written: with mathematical symbols where the terminal can show them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def without_subscripts(name: str) -> str:
    """Return a name with its subscripts as plain digits.

    >>> without_subscripts("W₁₂")
    'W12'
    """
    return name.translate(_DIGITS)


@dataclass(frozen=True)
class Notation:
    """The symbols that one style of writing derivatives uses.

    Examples
    --------
    >>> PLAIN.product([("L", "O"), ("O", "W1")])
    'dL/dO . dO/dW1'
    >>> print(SYMBOLS.product([("L", "O"), ("O", "W1")]))
    ∂L/∂O · ∂O/∂W₁
    >>> print(SYMBOLS.derivative("H", "X", immediate=True))
    ∂⁺H/∂X
    """

    d: str
    immediate: str  # the mark of a derivative along the direct path alone
    times: str
    by: str  # in sizes and products of numbers
    arrow: str
    subscripts: bool

    def symbol(self, name: str) -> str:
        """Return a name with the number at its end as a subscript, if the style has subscripts."""
        digits = len(name) - len(name.rstrip("0123456789"))
        if not self.subscripts or digits in (0, len(name)):
            return name
        return name[:-digits] + name[-digits:].translate(_SUBSCRIPTS)

    def derivative(self, of: str, by: str, *, immediate: bool = False) -> str:
        """Return ``of``'s derivative by ``by``, as a fraction."""
        mark = self.immediate if immediate else ""
        return f"{self.d}{mark}{self.symbol(of)}/{self.d}{self.symbol(by)}"

    def entry(self, name: str, index: Sequence[int]) -> str:
        """Return one entry of an array."""
        return f"{self.symbol(name)}[{', '.join(map(str, index))}]"

    def product(self, factors: list[tuple[str, str]]) -> str:
        """Return the product of derivatives, each given as (of, by)."""
        return self.join([self.derivative(*factor) for factor in factors])

    def join(self, factors: Sequence[str]) -> str:
        """Return the product of factors that are given as text."""
        return f" {self.times} ".join(factors)

    def sizes(self, *sizes: int) -> str:
        """Return the shape of a matrix."""
        return f" {self.by} ".join(f"{size:,}" for size in sizes)


PLAIN = Notation("d", "+", ".", "x", "->", False)
SYMBOLS = Notation("∂", "⁺", "·", "\N{MULTIPLICATION SIGN}", "→", True)


def of_terminal() -> Notation:
    """Return the notation that standard output can show."""
    try:
        "∂⁺·→₀".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return PLAIN
    return SYMBOLS
