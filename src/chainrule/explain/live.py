"""The data of a page in which the network runs: it computes all figures itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chainrule.explain.compression import compress
from chainrule.explain.link import MOST_RUNS
from chainrule.explain.proof import proof_data

if TYPE_CHECKING:
    from chainrule.explain.links import Links
    from chainrule.explain.path import Path


def live_figures(
    chain: Links, network: dict[str, Any], unbuilt: Mapping[str, Path]
) -> dict[str, Any]:
    """Return what the page needs, by the names that it has in the page's data."""
    paths = [proof_data(compress(path)) for path in unbuilt.values()]
    nodes = [node.path for node in chain.network.graph.nodes]
    positions = [[nodes.index(step.node.path) for step in link.steps] for link in chain.links]
    values = [0, *(network["layers"][of_link[-1]] for of_link in positions[1:])]
    return {
        "network": network,
        "links": [
            {
                "value": value,
                "steps": [
                    i for i, step in enumerate(network["steps"]) if {*step["layers"]} & {*of_link}
                ],
            }
            for value, of_link in zip(values, positions, strict=True)
        ],
        "paths": paths,
        "limits": {"rows": chain.rows, "passes": MOST_RUNS},
    }
