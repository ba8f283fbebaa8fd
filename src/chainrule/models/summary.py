"""The table that ``net.summary()`` shows."""

from dataclasses import dataclass
from math import prod

from chainrule.layers.graph import Graph, layer_text, output_shapes, shape_text


@dataclass(frozen=True)
class SummaryRow:
    """One layer: its path, its source code, its output shape if known, its parameter count."""

    path: str
    layer: str
    output_shape: tuple[int, ...] | None
    parameters: int


@dataclass(frozen=True)
class Summary:
    """A network's layers as a table; printing it, or showing it in a shell, gives text."""

    rows: tuple[SummaryRow, ...]
    dtype: str
    nbytes: int
    frozen: int = 0  # parameters

    @property
    def parameters(self) -> int:
        """The number of all parameters."""
        return sum(row.parameters for row in self.rows)

    def __str__(self) -> str:
        cells = [("layer", "output shape", "parameters")]
        for row in self.rows:
            cells.append(
                (f"{row.path} {row.layer}", shape_text(row.output_shape), f"{row.parameters:,}")
            )
        widths = [max(len(line[column]) for line in cells) for column in range(2)]
        lines = [f"{a:<{widths[0]}}   {b:<{widths[1]}}   {c}" for a, b, c in cells]
        frozen = f" ({self.frozen:,} frozen)" if self.frozen else ""
        size = f"{self.nbytes / 1024:.1f} KiB"
        total = f"{self.parameters:,} parameters{frozen}, {self.dtype}, {size}"
        return "\n".join([*lines, total])

    __repr__ = __str__


def summarize(graph: Graph, dtype: str, nbytes: int, frozen: int = 0) -> Summary:
    """Return the table of a network's layers, with shapes where they are known."""
    rows = []
    for node, shape in zip(graph.nodes, output_shapes(graph, None), strict=True):
        text = layer_text(node.layer) + (f" {node.layer.name!r}" if node.layer.name else "")
        parameters = node.layer.parameters().values() if node.is_first else ()
        count = sum(prod(parameter.shape) for parameter in parameters)
        shared = "" if node.is_first else f", as {node.owner}"
        rows.append(SummaryRow(node.path, text + shared, shape, count))
    return Summary(tuple(rows), dtype, nbytes, frozen)
