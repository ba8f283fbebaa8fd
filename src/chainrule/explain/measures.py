"""Measures of each layer, link and parameter: sizes of signal, gradient and update."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class LayerInfluence:
    """How one layer changes the gradient in the backward pass.

    Attributes
    ----------
    description : str
        The layer, as it was written.
    trained : bool
        Whether it has parameters.
    factor : float or None
        By what it multiplies the gradient's norm; None where it gets no gradient.
    slope : float or None
        The mean absolute derivative of an elementwise layer; None for others.
    dead : float or None
        The fraction of an elementwise layer's units whose derivative is 0 in every row, as of ReLU.
        None for functions that saturate.
    saturated : float or None
        For functions that are flat at both ends, as tanh and sigmoid: the fraction of the values,
        over units and rows, with a derivative below 5 % of the largest possible one.
    max_slope : float or None
        Of such a function, the largest possible derivative: 0.25 of sigmoid.
    """

    description: str
    trained: bool
    factor: float | None
    slope: float | None = None
    dead: float | None = None
    saturated: float | None = None
    max_slope: float | None = None


@dataclass(frozen=True)
class LinkInfluence:
    """The signal and the gradient of one link.

    Attributes
    ----------
    symbol : str
        As in ``chain.links``.
    size : int
        Elements of a row.
    forward : float
        Root mean square of its value.
    backward : float
        Length of dL/dvalue of a row: the root of the mean square over the rows.
    forward_factor : float or None
        ``forward``, divided by that of the link before; None for the input, or if that is 0. Also
        None where branches merge, as there are several links before.
    backward_factor : float or None
        By what this link multiplies the gradient's length in the backward pass.
    inputs : tuple of str
        The symbols of the links whose values it takes.
    layers : tuple of LayerInfluence
        In their order; the product of their factors is ``backward_factor``.
    """

    symbol: str
    size: int
    forward: float
    backward: float
    forward_factor: float | None
    backward_factor: float | None
    inputs: tuple[str, ...]
    layers: tuple[LayerInfluence, ...]

    @property
    def activation_factor(self) -> float | None:
        """By what the layers without parameters multiply the gradient's length."""
        return _product([layer.factor for layer in self.layers if not layer.trained])

    @property
    def weight_factor(self) -> float | None:
        """By what the layers with parameters multiply the gradient's length."""
        return _product([layer.factor for layer in self.layers if layer.trained])

    @property
    def slope(self) -> float | None:
        """The product of the layers' mean absolute derivatives; None without an activation."""
        slopes = [layer.slope for layer in self.layers if layer.slope is not None]
        return float(prod(slopes)) if slopes else None

    @property
    def dead(self) -> float | None:
        """The largest fraction of dead units in one of its layers."""
        return max((s for layer in self.layers if (s := layer.dead) is not None), default=None)

    @property
    def saturated(self) -> float | None:
        """The largest fraction of saturated values in one of its layers."""
        return max((s for layer in self.layers if (s := layer.saturated) is not None), default=None)


@dataclass(frozen=True)
class ParameterInfluence:
    """How one parameter is updated.

    Attributes
    ----------
    name, symbol : str
        Such as ``"0.weight"`` and ``"W1"``.
    is_matrix : bool
        Whether it has two axes or more, as weights do.
    gradient, weight, update : float
        Norms: of its gradient, of itself, and of the step that the optimizer would take next.
    """

    name: str
    symbol: str
    is_matrix: bool
    gradient: float
    weight: float
    update: float

    @property
    def update_ratio(self) -> float | None:
        """``update / weight``; None if the weight is 0."""
        return ratio(self.update, self.weight)


@dataclass(frozen=True)
class Measures:
    """The measures of all links and parameters, for the diagnosis and for :class:`Influence`."""

    rows: int
    links: tuple[LinkInfluence, ...]
    parameters: tuple[ParameterInfluence, ...]
    optimizer: str


def ratio(numerator: float, denominator: float) -> float | None:
    """Return a quotient; None if it is not defined."""
    return numerator / denominator if denominator else None


def _product(factors: list[float | None]) -> float | None:
    known = [factor for factor in factors if factor is not None]
    return float(prod(known)) if known and len(known) == len(factors) else None
