"""The data of a page in which the network runs: it computes all figures itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.explain.compression import compress
from chainrule.explain.link import MOST_RUNS
from chainrule.explain.notation import SYMBOLS
from chainrule.explain.order import multiply_adds
from chainrule.explain.path import Path, format_sum
from chainrule.explain.proof import proof_data, unbuilt_paths

if TYPE_CHECKING:
    from chainrule.explain.links import Links


def live_figures(chain: Links, network: dict[str, Any]) -> dict[str, Any]:
    """Return what the page needs, by the names that it has in the page's data."""
    paths = [_path(chain, path) for path in unbuilt_paths(chain).values()]
    nodes = [node.path for node in chain.network.graph.nodes]
    positions = [[nodes.index(step.node.path) for step in link.steps] for link in chain.links]
    values = [0, *(network["layers"][of_link[-1]] for of_link in positions[1:])]
    outputs = chain.network.graph.outputs
    data = {
        "network": network,
        "links": [
            {
                "value": value,
                "inputs": link.inputs,
                "steps": [
                    i for i, step in enumerate(network["steps"]) if {*step["layers"]} & {*of_link}
                ],
            }
            for link, value, of_link in zip(chain.links, values, positions, strict=True)
        ],
        "outputs": [i for output in outputs for i, own in enumerate(positions) if output in own],
        "paths": paths,
        "limits": {"rows": chain.rows, "passes": MOST_RUNS},
    }
    if chain.network.graph.is_chain:
        data["work"] = multiply_adds(chain, list(chain.symbols))
    return data


def _path(chain: Links, path: Path) -> dict[str, Any]:
    places = [0] if path.name == "x" else [i for i, _ in chain.routes.places(path.name)]
    data = {**proof_data(compress(path)), "places": places}
    if not chain.network.graph.is_chain:
        sums = [format_sum(factor, SYMBOLS) for factor in path.sums]
        data["equations"] = [path.format(SYMBOLS), *sums]
    return data
