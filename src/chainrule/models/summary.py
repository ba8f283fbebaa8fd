"""The table that ``net.summary()`` shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from chainrule.layers.graph import Graph, layer_text
from chainrule.layers.shapes import output_shapes, shape_text
from chainrule.operations.operation import Shape, Step


@dataclass(frozen=True)
class SummaryRow:
    """One layer.

    Attributes
    ----------
    path : str
    layer : str
        Its source code.
    output_shape : tuple of int, or None
        If it is known.
    parameters : int
        How many it has.
    multiply_adds : int or None
        How many a row of the batch takes in the products of a forward pass; None if the shape of
        the input is not known.
    """

    path: str
    layer: str
    output_shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int | None = None


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

    @property
    def multiply_adds(self) -> int | None:
        """How many a row of the batch takes in the products of a forward pass, if that is known."""
        counts = [row.multiply_adds for row in self.rows if row.multiply_adds is not None]
        return sum(counts) if len(counts) == len(self.rows) else None

    def __str__(self) -> str:
        cells = [("layer", "output shape", "parameters")]
        for row in self.rows:
            cells.append(
                (f"{row.path} {row.layer}", shape_text(row.output_shape), f"{row.parameters:,}")
            )
        frozen = f" ({self.frozen:,} frozen)" if self.frozen else ""
        size = f"{self.nbytes / 1024:.1f} KiB"
        total = f"{self.parameters:,} parameters{frozen}, {self.dtype}, {size}"
        lines: list[tuple[str, ...]] = list(cells)
        if self.multiply_adds is not None:
            counts = ["multiply-adds", *(f"{row.multiply_adds:,}" for row in self.rows)]
            lines = [(*line, count) for line, count in zip(cells, counts, strict=True)]
            total += f", {self.multiply_adds:,} multiply-adds a row"
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        widths[-1] = 0  # no spaces at the end
        texts = ["   ".join(map("{:<{}}".format, line, widths)) for line in lines]
        return "\n".join([*texts, total])

    __repr__ = __str__


def summarize(
    graph: Graph,
    dtype: str,
    nbytes: int,
    frozen: int = 0,
    shape: Shape | None = None,
    steps: Sequence[Step] = (),
) -> Summary:
    """Return the table of a network's layers, with shapes where they are known.

    ``steps`` are those of its plan for inputs of a ``shape``.
    """
    rows = []
    for i, (node, known) in enumerate(zip(graph.nodes, output_shapes(graph, shape), strict=True)):
        text = layer_text(node.layer) + (f" {node.layer.name!r}" if node.layer.name else "")
        parameters = node.layer.parameters().values() if node.is_first else ()
        count = sum(prod(parameter.shape) for parameter in parameters)
        shared = "" if node.is_first else f", as {node.owner}"
        work = None if shape is None else _multiply_adds([s for s in steps if i in s.layers])
        rows.append(SummaryRow(node.path, text + shared, known, count, work))
    return Summary(tuple(rows), dtype, nbytes, frozen)


def _multiply_adds(steps: Sequence[Step]) -> int:
    counted = [(step, step.operation.multiply_adds) for step in steps]
    return sum(count(step) for step, count in counted if count is not None)
