"""How a product compares with the engine's gradient, as data of the page; and numbers as data."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from chainrule.explain.compression import Compression, compress
from chainrule.explain.path import Factor, Path

if TYPE_CHECKING:
    from chainrule.explain.links import Links


def proof_data(compression: Compression) -> dict[str, Any]:
    """Return the comparison with the engine's gradient."""
    return {
        "difference": figure(compression.difference),
        "ulp": figure(compression.ulp),
        "proof": compression.proof,
    }


def backward_product(chain: Links, name: str) -> Compression:
    """Return the gradient by a parameter or the input as one factor: no Jacobian is built."""
    engine = chain.gradients[name]
    if name == "x":
        symbol, gradient = chain.links[0].symbol, chain.links[0].gradient
    else:
        symbol = chain.symbols[name]
        owner, _, parameter = name.rpartition(".")
        steps = chain.links[chain.link_of(name)].steps
        step = next(step for step in steps if step.node.owner == owner)
        gradient = step.parameter_gradient(parameter, step.gradient)
    factor = Factor("L", symbol, (chain.rows, 1, engine.size), None)
    return compress(Path(symbol, name, (factor,), (gradient,), engine, max_elements=0))


def figure(value: Any, digits: int = 6) -> float | str | None:
    """Return a number to a few digits; a text if it is not finite, which JSON cannot hold.

    >>> figure(0.123456789), figure(2.0), figure(float("inf")), figure(None)
    (0.123457, 2, 'inf', None)
    """
    if value is None:
        return None
    number = float(value)
    if not isfinite(number):
        return str(number)
    rounded = float(f"{number:.{digits}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e6 else rounded
