"""Diagnosis of a network from its influence: vanishing gradients, dead units and the like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chainrule.explain.measures import LayerInfluence, LinkInfluence, Measures

# A gradient 10,000 times shorter at the input than at the output: no learning rate suits both.
# The limit is this low because Linear's initial weights shorten gradients: to 0.41 in a layer with
# ReLU, so to 1/400 in eight layers.
VANISHING = 1e-4
# Growth is rarer than decay, as no usual initialization causes it, and does harm sooner.
EXPLODING = 1e3
# In a new deep network, the inputs of later layers differ little between rows, so that half of the
# ReLUs are inactive in all rows; in a narrow layer it may be 80 % by chance.
DEAD_FRACTION = 0.85
INACTIVE_FRACTION = 0.5  # is usual, so that more is explained
# A unit that is active in half of the rows is inactive in all of 8 rows with probability 1/256.
DEAD_ROWS = 8
# Most of a layer's values at an end of its range; initial weights put none there.
SATURATED_FRACTION = 0.5
# A usual step is about 1/1000 of the weights' norm. With a ratio of 1e-6, a weight needs a million
# steps to change by its own size; with 0.2, five. Adam's first step, lr for each weight, is up to
# 0.1 of the small initial weights of large layers.
SMALL_UPDATE, LARGE_UPDATE = 1e-6, 0.2

Kind = Literal[
    "vanishing gradient",
    "exploding gradient",
    "dead units",
    "saturated units",
    "updates too small",
    "updates too large",
]


@dataclass(frozen=True)
class Finding:
    """One finding of the diagnosis.

    Attributes
    ----------
    kind : str
        "vanishing gradient", "exploding gradient", "dead units", "saturated units", "updates too
        small" or "updates too large".
    where : tuple of str
        Symbols of the links, or names of the parameters, in the order of the backward pass. A
        vanishing or exploding gradient has one: the link where it begins.
    value : float
        For a gradient, the factor of the link where it begins; for units, their largest fraction;
        for updates, the most extreme ratio to the weight.
    text : str
        A sentence or several.
    """

    kind: Kind
    where: tuple[str, ...]
    value: float
    text: str


def diagnose(influence: Measures) -> tuple[Finding, ...]:
    """Return all findings, the worst first."""
    findings = [
        _gradient(influence, "vanishing gradient"),
        _gradient(influence, "exploding gradient"),
        _units(
            influence,
            "dead units",
            lambda layer: layer.dead if influence.rows >= DEAD_ROWS else None,
            DEAD_FRACTION,
            f"have the derivative 0 in all {influence.rows} rows: no gradient passes through them",
        ),
        _units(
            influence,
            "saturated units",
            lambda layer: layer.saturated,
            SATURATED_FRACTION,
            "have nearly no slope: little of the gradient passes through them",
        ),
        _updates(influence, "updates too small"),
        _updates(influence, "updates too large"),
    ]
    return tuple(finding for finding in findings if finding is not None)


def nothing_unusual(influence: Measures) -> str:
    """Return the diagnosis without findings; it explains why many dead units are none."""
    most = [(link.dead, link.symbol) for link in influence.links if link.dead is not None]
    fraction, symbol = max(most, default=(0.0, ""))
    if fraction <= INACTIVE_FRACTION:
        return "Nothing unusual."
    rows = influence.rows
    chance = f"up to {DEAD_FRACTION:.0%} may be chance, as in narrow layers"
    if rows < DEAD_ROWS:
        chance = f"in so few this may be chance: {DEAD_ROWS} or more show whether they are dead"
    return (
        f"Nothing unusual: {fraction:.0%} of the units in {symbol} have the derivative 0 in "
        f"{'the only row' if rows == 1 else f'all {rows} rows'}, but {chance}."
    )


def _gradient(influence: Measures, kind: Kind) -> Finding | None:
    """Follow the gradient from the output back to the first link with parameters."""
    vanishing = kind == "vanishing gradient"
    links = influence.links[:0:-1]  # without the input, which is not trained
    if not links:
        return None
    extreme = (min if vanishing else max)(links, key=lambda link: link.backward)
    passed = _between_loss_and(extreme, links)
    taken = {symbol for link in links for symbol in link.inputs}
    outputs = [link for link in passed if link.symbol not in taken]
    output = max(outputs, key=lambda link: link.backward, default=extreme)
    if output.backward == 0:
        return None
    whole = extreme.backward / output.backward
    if not (whole < VANISHING if vanishing else whole > EXPLODING):
        return None
    # If every link's factor were within this bound, their product would be within the limit.
    each = (VANISHING if vanishing else EXPLODING) ** (1 / len(passed))
    for link in passed:
        factor = link.backward_factor
        if factor is not None and (factor < each if vanishing else factor > each):
            return Finding(kind, (link.symbol,), factor, _explain(kind, output, extreme, link))
    return None


def _between_loss_and(link: LinkInfluence, links: tuple[LinkInfluence, ...]) -> list[LinkInfluence]:
    """Return the links from the loss to this one, in the order of the backward pass."""
    reached, symbols = [], {link.symbol}
    for other in reversed(links[: links.index(link)]):
        if symbols.intersection(other.inputs):
            reached.append(other)
            symbols.add(other.symbol)
    return reached[::-1]


def _explain(kind: Kind, output: LinkInfluence, extreme: LinkInfluence, link: LinkInfluence) -> str:
    parts = []
    for layer in reversed(link.layers):
        if layer.factor is not None:
            parts.append(f"{layer.description} by {layer.factor:.2g}{_slope_text(layer)}")
    return (
        f"{kind.capitalize()}: on its way from {output.symbol} back to {extreme.symbol} its length "
        f"becomes {extreme.backward / output.backward:.2g} of what it was. It begins in "
        f"{link.symbol}, which multiplies it by {link.backward_factor:.2g}: {', '.join(parts)}."
    )


def _slope_text(layer: LayerInfluence) -> str:
    if layer.slope is None:
        return ""
    bound = "" if layer.max_slope is None else f", and at most {layer.max_slope:.2g} anywhere"
    return f" (its mean slope is {layer.slope:.2g}{bound})"


def _units(
    influence: Measures,
    kind: Kind,
    fraction_of: Callable[[LayerInfluence], float | None],
    limit: float,
    what: str,
) -> Finding | None:
    fractions = {
        link.symbol: fraction
        for link in influence.links[::-1]
        if (fraction := max((fraction_of(i) or 0.0 for i in link.layers), default=0)) > limit
    }
    if not fractions:
        return None
    told = ", ".join(f"{fraction:.0%} in {symbol}" for symbol, fraction in fractions.items())
    text = f"{kind.capitalize()}: {told} {what}."
    return Finding(kind, tuple(fractions), max(fractions.values()), text)


def _updates(influence: Measures, kind: Kind) -> Finding | None:
    """Check weights only: biases often have the initial value 0."""
    small = kind == "updates too small"
    ratios = {
        parameter.name: ratio
        for parameter in influence.parameters[::-1]
        if parameter.is_matrix and (ratio := parameter.update_ratio) is not None
        if (ratio < SMALL_UPDATE if small else ratio > LARGE_UPDATE)
    }
    if not ratios:
        return None
    told = ", ".join(f"{name} by {ratio:.2g}" for name, ratio in ratios.items())
    text = (
        f"{kind.capitalize()}: a step of {influence.optimizer} changes {told} of its length. Usual "
        "is about 0.001 while a network learns, and less when it has learnt."
    )
    return Finding(kind, tuple(ratios), (min if small else max)(ratios.values()), text)
