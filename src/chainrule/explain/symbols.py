"""Which layers are looked at as one link, and what links and parameters are called."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from chainrule.explain.notation import without_subscripts
from chainrule.layers.layer import Layer
from chainrule.network import Sequential


class Placed(Protocol):
    """A layer, and where the network has it."""

    @property
    def path(self) -> str: ...
    @property
    def layer(self) -> Layer: ...


class Place(NamedTuple):
    """Nothing but that: what ``Sequential.chain`` holds."""

    path: str
    layer: Layer


T = TypeVar("T", bound=Placed)


def group(steps: Sequence[T], *, merge: bool) -> list[list[T]]:
    """Return the layers of each link.

    Merged, what has neither parameters nor a name belongs to the layer with parameters before it,
    and at the head of the chain to the one after it.
    """
    if not merge:
        return [[step] for step in steps]
    groups: list[list[T]] = [[]]
    for step in steps:
        opens = bool(step.layer.name or step.layer.parameters())
        if opens and any(s.layer.name or s.layer.parameters() for s in groups[-1]):
            groups.append([])
        groups[-1].append(step)
    return groups


def name_links(groups: Sequence[Sequence[Placed]]) -> list[str]:
    """Return the symbols of the input and of all links.

    The input is X. A link has the name of one of its layers; else it is O at the end, and H before,
    with a number where there are several. A prime tells it from what has the symbol already.
    """
    given = [next((step.layer.name for step in group if step.layer.name), None) for group in groups]
    parameters = name_parameters((step.path, step.layer) for group in groups for step in group)
    taken = {"X", "L", *parameters.values()}
    symbols = ["X"]
    for position, name in enumerate(given, start=1):
        if name is not None:
            symbol, others = name, taken
        else:
            others = taken.union(symbols, filter(None, given))
            symbol = "H" if len(groups) == 2 else f"H{position}"
            if position == len(groups):
                symbol = "O"
        while symbol in others:
            symbol += "'"
        symbols.append(symbol)
    return symbols


def name_parameters(chain: Iterable[tuple[str, Layer]]) -> dict[str, str]:
    """Return each parameter's symbol: W1 and b1 for those of the first layer that has any."""
    letters = {"weight": "W", "bias": "b"}
    symbols = {}
    number = 0
    for path, layer in chain:
        parameters = layer.parameters()
        number += bool(parameters)
        for name in parameters:
            symbols[f"{path}.{name}"] = f"{letters.get(name, name)}{number}"
    return symbols


def find_layer(net: Sequential, name: str) -> str | None:
    """Return the path of the layer with parameters that a name or a path stands for, if any."""
    for path, layer in net.chain:
        if name in (path, layer.name) and layer.parameters():
            return path
    return None


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
    name = without_subscripts(name)
    if name in ("x", "X"):
        return "x"
    symbols = name_parameters(net.chain)
    paths = {layer.name: path for path, layer in net.chain if layer.name}
    layer, _, parameter = name.rpartition(".")
    candidates = [name, f"{paths.get(layer)}.{parameter}"]
    candidates += [found for found, symbol in symbols.items() if symbol == name]
    for candidate in candidates:
        if candidate in symbols:
            return candidate
    known = ", ".join(f"{found} ({symbol})" for found, symbol in symbols.items())
    raise ValueError(f"There is no parameter {name!r}; there are: {known or 'none'}, and x.")
