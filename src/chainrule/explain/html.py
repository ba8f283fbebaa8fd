"""The page that ``chain.to_html`` writes: the chain as data, and a template that is filled with it.

The page's scripts and style are in the folder page. A small network runs in the page, which
computes all figures; those of a large one are in the data. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from os import PathLike
from string import Template
from typing import TYPE_CHECKING, Any

from chainrule.explain.influence import influence
from chainrule.explain.inline_page import Page
from chainrule.explain.live import live_figures
from chainrule.explain.notation import SYMBOLS
from chainrule.explain.order import multiply_adds
from chainrule.explain.page_network import page_network
from chainrule.explain.path import format_sum
from chainrule.explain.precomputed import precomputed_figures
from chainrule.explain.proof import figure, unbuilt_paths
from chainrule.layers.graph import layer_text
from chainrule.layers.shapes import output_shapes
from chainrule.operations.operation import Shape
from chainrule.utils.wording import plural

if TYPE_CHECKING:
    from chainrule.explain.links import Links
    from chainrule.explain.path import Path

VIEWS = (
    "elements",
    "heat_map",
    "plot",
    "model",
    "figure",
    "glance",
    "factors",
    "matrices",
    "cancel",
    "work",
    "graph",
    "pictures",
    "maps",
)
PRECOMPUTED = ("nudge",)
LIVE = "ingredient", "turn", "ways", "neurons", "learn", "surface", "story"
# What all pages have near their beginning, and other files have not.
GENERATOR = b'<meta name="generator" content="chainrule">'


def is_page(path: str | PathLike[str]) -> bool:
    """Tell whether a file is a page that was written here."""
    with open(path, "rb") as file:
        return GENERATOR in file.read(1024)


def inline_page(chain: Links, height: int) -> Page:
    """Return the page for a notebook."""
    return Page(_title(chain), page(chain), height)


def page(chain: Links) -> str:
    """Return the whole page."""
    data = page_data(chain)
    folder = files("chainrule.explain").joinpath("page")
    scripts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in _scripts(data)]
    return Template(folder.joinpath("page.html").read_text("utf-8")).substitute(
        title=escape(data["title"]),
        style=folder.joinpath("page.css").read_text("utf-8"),
        data=_inside_script(data),
        script="\n".join(scripts),
        without_script=chain._repr_html_(),
    )


def _scripts(data: dict[str, Any]) -> list[str]:
    """Return the names of the scripts that the page needs, in their order."""
    if "network" not in data:
        return [*VIEWS, *PRECOMPUTED, "page"]
    operations = [f"operations/{name}" for name in data["network"]["operations"]]
    files_of_rules = files("chainrule.explain").joinpath("page", "optimizers").iterdir()
    rules = [f"optimizers/{name}" for name in sorted(file.name[:-3] for file in files_of_rules)]
    return ["elementary", *operations, *rules, "network", *VIEWS, *LIVE, "page"]


def _inside_script(data: Any) -> str:
    """Return JSON in which no text can end the script element around it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_data(chain: Links) -> dict[str, Any]:
    """Return all that the page shows, in types that JSON has."""
    network = page_network(chain.network, chain.loss_function, chain.x, chain.targets)
    unbuilt = unbuilt_paths(chain)
    if network is None:
        figures = precomputed_figures(chain)
    else:
        figures = live_figures(chain, network, unbuilt)
    graph = chain.network.graph
    outputs = [graph.nodes[output] for output in graph.outputs]
    links, paths, limits = (figures.pop(name) for name in ("links", "paths", "limits"))
    return {
        "title": _title(chain),
        "loss": {
            "name": type(chain.loss_function).__name__,
            "text": repr(chain.loss_function),
            "rows": chain.rows,
            "value": figure(chain.loss),
        },
        "dtype": chain.network.dtype.name,
        "codes": chain.network.takes_codes,
        "columns": chain.feature_names,
        "picture": chain.picture,
        "diagnosis": influence(chain, None).diagnosis.splitlines(),
        "links": [
            {
                "symbol": SYMBOLS.symbol(link.symbol),
                "layers": [layer_text(step.layer) for step in link.steps] or ["the input"],
                "shape": shape,
                "size": link.value.shape[1],
                "inputs": link.inputs,
                "next": chain.routes.following(position),
                **of_link,
            }
            for position, (link, of_link, shape) in enumerate(
                zip(chain.links, links, _shapes(chain), strict=True)
            )
        ],
        "outputs": [
            position
            for output in outputs
            for position, link in enumerate(chain.links)
            if output in [step.node for step in link.steps]
        ],
        "paths": [
            {
                "name": name,
                "symbol": SYMBOLS.symbol("X" if name == "x" else chain.symbols[name]),
                "shape": chain.x.shape if name == "x" else chain.gradients[name].shape,
                **_places(chain, name, unbuilt[name]),
                **of_path,
            }
            for name, of_path in zip(["x", *chain.symbols], paths, strict=True)
        ],
        "chain": graph.is_chain,
        "work": multiply_adds(chain, list(chain.symbols)) if graph.is_chain else None,
        "limits": {"elements": chain.max_elements, **limits},
        **figures,
    }


def _shapes(chain: Links) -> list[Shape | None]:
    """Return the shape of each link's rows."""
    shapes = output_shapes(chain.network.graph, chain.x.shape[1:])
    of_layers = {
        node.path: shape for node, shape in zip(chain.network.graph.nodes, shapes, strict=True)
    }
    return [chain.x.shape[1:], *(of_layers[link.steps[-1].node.path] for link in chain.links[1:])]


def _places(chain: Links, name: str, path: Path) -> dict[str, Any]:
    """Return where the loss is differentiated by the input or a parameter, and the chain rule."""
    is_input = name == "x"
    places = [0] if is_input else [position for position, _ in chain.routes.places(name)]
    data = {
        "link": places[0],
        "places": places,
        "start": 0 if is_input else chain.routes.start(name),
    }
    if not chain.network.graph.is_chain:
        sums = [format_sum(factor, SYMBOLS) for factor in path.sums]
        data["equations"] = [path.format(SYMBOLS), *sums]
    return data


def _title(chain: Links) -> str:
    loss = type(chain.loss_function).__name__
    if not chain.network.graph.is_chain:
        return f"A network of {plural(len(chain.links) - 1, 'link')} with branches, {loss}"
    sizes = [str(link.value.shape[1]) for link in chain.links]
    if len(sizes) > 8:
        sizes = [*sizes[:3], "\N{HORIZONTAL ELLIPSIS}", *sizes[-3:]]
    arrow = " \N{RIGHTWARDS ARROW} "
    return f"{arrow.join(sizes)}, {loss}"
