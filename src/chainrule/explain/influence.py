"""The size of signal and gradient at each link of the chain, with a diagnosis.

Forward, the size is that of an element: the root mean square of a link's values. Backward, it is
the norm of a row's gradient. The norm does not depend on the number of elements, so that a narrow
output behind a wide layer is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from chainrule.explain import notation
from chainrule.explain.diagnosis import Finding, diagnose, nothing_unusual
from chainrule.explain.links import Links
from chainrule.explain.measures import (
    LayerInfluence,
    LinkInfluence,
    Measures,
    ParameterInfluence,
    ratio,
)
from chainrule.explain.notation import SYMBOLS, Notation
from chainrule.explain.step import Float64, LayerStep
from chainrule.explain.text import number, paragraph, table
from chainrule.layers.activation import Elementwise
from chainrule.optimizers import Adam, Optimizer
from chainrule.utils import fragment

SATURATED_SLOPE = 0.05  # of the max_slope: tanh beyond 2.2, sigmoid beyond 4.4


@dataclass(frozen=True)
class Influence(Measures):
    """What :meth:`Chain.influence` found. Printing it shows tables and the diagnosis.

    Attributes
    ----------
    rows : int
        Rows of the batch.
    links : tuple of LinkInfluence
        From the input to the output.
    parameters : tuple of ParameterInfluence
    optimizer : str
        Whose step the updates are.
    """

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the diagnosis; empty for a healthy network."""
        return diagnose(self)

    @property
    def diagnosis(self) -> str:
        """The findings in plain words."""
        return "\n".join(finding.text for finding in self.findings) or nothing_unusual(self)

    def _link_rows(self, style: Notation) -> list[list[str]]:
        return [_link_cells(link, style) for link in reversed(self.links)]

    def _about(self, style: Notation) -> str:
        return (
            "Signal: root mean square of the values. Gradient: length of a row of "
            f"{style.derivative('L', 'link')}. The factors are what a link does to the signal in "
            "the forward pass, and to the gradient in the backward pass."
        )

    def _parameter_rows(self, style: Notation) -> list[list[str]]:
        return [_parameter_cells(parameter, style) for parameter in reversed(self.parameters)]

    def __str__(self) -> str:
        style = notation.of_terminal()
        lines = table(_LINK_HEADER, self._link_rows(style))
        lines += ["", *paragraph(self._about(style)), ""]
        if self.parameters:
            lines += [*table(_PARAMETER_HEADER, self._parameter_rows(style)), ""]
        for text in self.diagnosis.splitlines():
            lines += paragraph(text)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parameters = fragment.table(_PARAMETER_HEADER, self._parameter_rows(SYMBOLS))
        return fragment.of_parts(
            fragment.table(_LINK_HEADER, self._link_rows(SYMBOLS)),
            fragment.paragraph(self._about(SYMBOLS)),
            parameters if self.parameters else "",
            *map(fragment.paragraph, self.diagnosis.splitlines()),
        )


_LINK_HEADER = (
    "link", "size", "signal", "factor", "gradient", "factor", "slope", "dead", "saturated",
)  # fmt: skip
_PARAMETER_HEADER = "", "parameter", "gradient", "weight", "update / weight"


def _link_cells(link: LinkInfluence, style: Notation) -> list[str]:
    forward, backward = (link.forward, link.forward_factor), (link.backward, link.backward_factor)
    measures = [number(value, 3) for value in (*forward, *backward, link.slope)]
    fractions = _percent(link.dead), _percent(link.saturated)
    return [style.symbol(link.symbol), str(link.size), *measures, *fractions]


def _parameter_cells(parameter: ParameterInfluence, style: Notation) -> list[str]:
    measures = parameter.gradient, parameter.weight, parameter.update_ratio
    return [style.symbol(parameter.symbol), parameter.name, *map(number, measures)]


def influence(chain: Links, optimizer: Optimizer | None) -> Influence:
    """Measure what :meth:`Chain.influence` returns."""
    optimizer = Adam() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an optimizer such as cr.Adam(), not {optimizer!r}.")
    links = []
    for link in chain.links:
        before = chain.links[link.inputs[0]] if len(link.inputs) == 1 else None
        forward, backward = _root_mean_square(link.value), _row_length(link.gradient)
        # In the backward pass, a layer takes the gradient by its output and returns the gradient by
        # its input.
        first = None if before is None else _row_length(link.input_gradients[0])
        lengths = [first, *(_row_length(step.gradient) for step in link.steps)]
        layers = [
            _layer(step, None if out is None or back is None else ratio(out, back))
            for step, out, back in zip(link.steps, lengths, lengths[1:], strict=False)
        ]
        links.append(
            LinkInfluence(
                link.symbol,
                link.value.shape[1],
                forward,
                backward,
                None if before is None else ratio(forward, _root_mean_square(before.value)),
                None if first is None else ratio(first, backward),
                tuple(chain.links[i].symbol for i in link.inputs),
                tuple(layers),
            )
        )
    return Influence(chain.rows, tuple(links), _parameters(chain, optimizer), repr(optimizer))


def _layer(step: LayerStep, factor: float | None) -> LayerInfluence:
    description, trained = repr(step.layer), bool(step.layer.parameters())
    if not isinstance(step.layer, Elementwise):
        return LayerInfluence(description, trained, factor)
    # Each output has one input: its Jacobian is a diagonal, which gradients of 1 show.
    slopes = np.abs(step.backward_input(np.ones_like(step.y)))
    mean, max_slope = float(slopes.mean()), step.layer.max_slope
    if max_slope is None:
        dead = float((slopes == 0).all(axis=0).mean())
        return LayerInfluence(description, trained, factor, mean, dead)
    saturated = float((slopes < SATURATED_SLOPE * max_slope).mean())
    return LayerInfluence(description, trained, factor, mean, None, saturated, max_slope)


def _parameters(chain: Links, optimizer: Optimizer) -> tuple[ParameterInfluence, ...]:
    twin = chain.network.copy()
    for name, gradient in twin.gradients().items():
        gradient[...] = chain.gradients[name]
    twin.apply_update(optimizer.trial_state(chain.original or twin))
    weights, updated = chain.network.parameters(), twin.parameters()
    return tuple(
        ParameterInfluence(
            name,
            symbol,
            weights[name].ndim > 1,
            _norm(chain.gradients[name]),
            _norm(weights[name]),
            _norm(updated[name] - weights[name]),
        )
        for name, symbol in chain.symbols.items()
    )


def _root_mean_square(value: Float64) -> float:
    """Return the size of a typical element."""
    return float(np.sqrt(np.mean(np.square(value)))) if value.size else 0.0


def _row_length(gradient: Float64) -> float:
    """Return the length of a typical row."""
    return _norm(gradient) / float(np.sqrt(len(gradient)))


def _norm(array: ArrayLike) -> float:
    return float(np.linalg.norm(np.asarray(array, float)))


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.0%}"
