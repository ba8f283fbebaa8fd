"""Tables: parameters of which a batch takes some rows, as an embedding does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from chainrule.operations.operation import ParameterUse, Shape, Step, Tensor
from chainrule.plan.call import value

# A table must have so many times the rows that a batch takes: a pass over it is quick otherwise.
LEAST_RATIO = 4


class Table(NamedTuple):
    """A parameter whose gradient is 0 but for the rows that the batch takes.

    Attributes
    ----------
    begin : its position in the vector of all parameters.
    rows, columns : its shape.
    places : where in the arena the numbers of the rows are that the batch takes, in bytes; several
        where the parameter is used several times.
    shapes : of these numbers, for each row of the batch.
    """

    begin: int
    rows: int
    columns: int
    places: tuple[int, ...]
    shapes: tuple[Shape, ...]

    @property
    def end(self) -> int:
        """Where the next parameter begins."""
        return self.begin + self.rows * self.columns


def uses_of_tables(steps: Sequence[Step], batch: int) -> dict[ParameterUse, list[Tensor]]:
    """Return the tables of these steps, each with the numbers of the rows that are taken.

    They are all tables, or none where none is large or something else reads one of them: all of
    their gradients are cleared, or none is.
    """
    taken: dict[ParameterUse, list[Tensor]] = {}
    others = set()
    for step in steps:
        operands = dict(zip(step.operation.operands, step.operands, strict=True))
        for name, use in step.parameters.items():
            if name in step.operation.rows_of and use.is_trained:
                taken.setdefault(use, []).append(operands[step.operation.rows_of[name]])
            else:
                others.add(use.name)
    are_large = [
        use.shape[0] >= LEAST_RATIO * batch * sum(tensor.size for tensor in numbers)
        for use, numbers in taken.items()
    ]
    return taken if any(are_large) and others.isdisjoint(use.name for use in taken) else {}


def tables_of(
    uses: Mapping[ParameterUse, Sequence[Tensor]],
    offsets: Mapping[str, int],
    places: Mapping[Hashable, int],
) -> tuple[Table, ...]:
    """Return tables in the order of the parameters."""
    found = []
    for use, numbers in uses.items():
        rows, columns = use.shape
        at = tuple(places[value(tensor)] for tensor in numbers)
        shapes = tuple(tensor.shape for tensor in numbers)
        found.append(Table(offsets[use.name], rows, columns, at, shapes))
    return tuple(sorted(found))
