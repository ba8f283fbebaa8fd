"""How a product compares with the engine's gradient, as data of the page; and numbers as data."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from chainrule.explain.compression import Compression
from chainrule.explain.path import Path
from chainrule.explain.routes import Routes

if TYPE_CHECKING:
    from chainrule.explain.links import Links


def proof_data(compression: Compression) -> dict[str, Any]:
    """Return the comparison with the engine's gradient."""
    return {
        "difference": figure(compression.difference),
        "ulp": figure(compression.ulp),
        "proof": compression.proof,
    }


def unbuilt_paths(chain: Links) -> dict[str, Path]:
    """Return the path to the input and to each parameter, by name, without any Jacobian."""
    routes = Routes([replace(link, max_elements=0) for link in chain.links])
    paths = {}
    for name, symbol in {"x": chain.links[0].symbol, **chain.symbols}.items():
        engine = chain.gradients[name]
        product = (
            routes.of_link(0) if name == "x" else routes.of_parameter(name, symbol, engine.shape)
        )
        paths[name] = Path(symbol, name, *product, engine, max_elements=0)
    return paths


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
