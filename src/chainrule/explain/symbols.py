"""Grouping of layers into links, and the symbols of links and parameters."""

from collections import Counter
from collections.abc import Sequence

from chainrule.explain.notation import without_subscripts
from chainrule.layers.graph import Graph, Node
from chainrule.models.sequential import Sequential


def group(graph: Graph, *, merge: bool) -> list[list[int]]:
    """Return the layers of each link, by their positions among the nodes.

    With ``merge``, a layer with neither parameters nor a name joins the link of the layer with
    parameters before it; at the start of the chain, the link of the one after it. Branches split
    and merge only between links.
    """
    uses = Counter(i for node in graph.nodes for i in node.inputs)
    groups: list[list[int]] = []
    group_of: dict[int, list[int]] = {}
    for position, node in enumerate(graph.nodes):
        before = node.inputs[0]
        fits = merge and before >= 0 and len(node.inputs) == uses[before] == 1
        if fits and not (_opens(node) and any(_opens(graph.nodes[i]) for i in group_of[before])):
            group_of[position] = group_of[before]
        else:
            group_of[position] = []
            groups.append(group_of[position])
        group_of[position].append(position)
    return groups


def _opens(node: Node) -> bool:
    """Whether a link may begin with this layer."""
    return bool(node.layer.name or node.layer.parameters() or len(node.inputs) > 1)


def name_links(graph: Graph, groups: Sequence[Sequence[int]]) -> list[str]:
    """Return the symbols of the input and of all links.

    The input is X. A link has the name of one of its layers. Without one, the output is O and the
    others are H, numbered where there are several. A prime is added to a symbol that is taken.
    """
    layers = [[graph.nodes[i].layer for i in positions] for positions in groups]
    given = [next((layer.name for layer in link if layer.name), None) for link in layers]
    outputs = [
        next(g for g, positions in enumerate(groups) if i in positions) for i in graph.outputs
    ]
    parameters = name_parameters(graph)
    taken = {"X", "x", "L", *parameters, *parameters.values()}
    symbols = ["X"]
    for position, name in enumerate(given):
        others = taken.union(symbols)
        if name is not None:
            symbol = name
        else:
            others.update(filter(None, given))
            symbol = f"H{position + 1}" if len(groups) - len(outputs) > 1 else "H"
            if position in outputs:
                symbol = f"O{outputs.index(position) + 1}" if len(outputs) > 1 else "O"
        while symbol in others:
            symbol += "'"
        symbols.append(symbol)
    return symbols


def name_parameters(graph: Graph) -> dict[str, str]:
    """Return each parameter's symbol: W1 and b1 for those of the first layer that has any."""
    letters = {"weight": "W", "bias": "b"}
    symbols = {}
    number = 0
    for node in graph.nodes:
        parameters = node.layer.parameters() if node.is_first else {}
        number += bool(parameters)
        for name in parameters:
            symbols[f"{node.owner}.{name}"] = f"{letters.get(name, name)}{number}"
    return symbols


def find_link(symbols: Sequence[str], name: str) -> int | None:
    """Return the position of the link with this symbol, 0 for the input; None if there is none."""
    if name in ("x", "X"):
        return 0
    for spelling in _spellings(name):
        if spelling in symbols:
            return symbols.index(spelling)
    return None


def find_layer(net: Sequential, name: str) -> str | None:
    """Return the path of the layer with parameters of this name, if any.

    The name is that of a link, which has at most one such layer, or a layer's name or path.

    Raises
    ------
    ValueError
        If it is the name of a link without parameters.
    """
    nodes, groups = net.graph.nodes, group(net.graph, merge=True)
    link = find_link(name_links(net.graph, groups), name) or 0
    candidates = [nodes[i] for i in groups[link - 1]] if link else []
    candidates += [node for node in nodes if node.layer.name in _spellings(name)]
    candidates += [node for node in nodes if node.path == name]
    for node in candidates:
        if node.layer.parameters():
            return node.owner
    if link:
        raise ValueError(f"Link {name} has no parameters.")
    return None


def _spellings(name: str) -> tuple[str, str]:
    """Return a name as it was given, and with the digits that are printed as subscripts."""
    return name, without_subscripts(name)


def find(net: Sequential, name: str) -> str:
    """Return the name, such as ``"0.weight"``, of the parameter that a name or symbol stands for.

    The input's is ``"x"``. Numbers may be subscripts, as they are printed.

    Raises
    ------
    ValueError, TypeError
        If there is none.
    """
    if not isinstance(name, str):
        raise TypeError(f"A parameter is found by its name, such as '0.weight', not by {name!r}.")
    found = find_parameter(net, name)
    if found is None:
        symbols = name_parameters(net.graph).items()
        known = ", ".join(f"{other} ({symbol})" for other, symbol in symbols)
        raise ValueError(f"There is no parameter {name!r}; there are: {known or 'none'}, and x.")
    return found


def find_parameter(net: Sequential, name: str) -> str | None:
    """Return what :func:`find` returns; None if there is none."""
    if name in ("x", "X"):
        return "x"
    symbols = name_parameters(net.graph)
    nodes = net.graph.nodes
    paths = {node.layer.name: node.owner for node in nodes if node.layer.name}
    for spelling in _spellings(name):
        layer, _, parameter = spelling.rpartition(".")
        candidates = [spelling, f"{paths.get(layer)}.{parameter}"]
        candidates += [found for found, symbol in symbols.items() if symbol == spelling]
        for candidate in candidates:
            if candidate in symbols:
                return candidate
    return None
