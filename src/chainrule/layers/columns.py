"""Columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sys import maxsize
from typing import Any, ClassVar

import numpy as np

from chainrule.layers.layer import Layer, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.operations.operation import Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import integer, several

__all__ = ["Columns"]


def _index(value: Any, name: str, dtype: np.dtype | None = None) -> int:
    return integer(value, name, least=-maxsize)


@dataclass(frozen=True, repr=False)
class Columns(Layer):
    """Selects columns: elements of the last axis, by their numbers.

    In the branches of a :class:`Parallel`, it divides a table: each branch gets its columns, such as
    a column of codes for an :class:`Embedding`, or all columns of numbers.

    Shapes: input ``(n, *, columns)``, output ``(n, *, len(indices))``.

    Parameters
    ----------
    indices : sequence of int
        Such as a list or a ``range``; at least one. Numbers below 0 count from the end, as in
        NumPy. A column may be selected several times.

    Raises
    ------
    ValueError
        Without indices; and when the network is built or used, if there is no such column.
    TypeError
        If an index is no integer.

    Examples
    --------
    A table whose first column holds codes from 0 to 11:

    >>> import chainrule as cr
    >>> codes = cr.Sequential(cr.Columns([0]), cr.Embedding(12, 4), cr.Flatten(), seed=1)
    >>> table = cr.Parallel(codes, cr.Columns(range(1, 4)), combine="concatenate")
    >>> net = cr.Sequential(table, cr.Linear(7, 2), seed=0)
    >>> net.predict([[11, 0.5, -1.0, 2.5], [0, 1.5, 0.0, 0.5]]).shape
    (2, 2)
    >>> net.predict([[12, 0.5, -1.0, 2.5]])
    Traceback (most recent call last):
        ...
    ValueError: X has the code 12.0 at row 0, column 0, but Embedding(12, 4) (layer 0.0.1) takes whole numbers from 0 to 11. There are 12 codes, and the first is 0.
    """  # noqa: E501

    number_checks: ClassVar = {"indices": several(_index)}
    indices: Sequence[int]

    def __repr__(self) -> str:
        return short_repr(self, "indices")

    def selected_of(self, length: int) -> tuple[int, ...]:
        """Return the numbers of the selected columns, from 0 on, among so many.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        least = max(max(self.indices) + 1, -min(self.indices))
        if length < least:
            raise ValueError(f"expects at least {least} columns")
        return tuple(index % length for index in self.indices)

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if not shape:
            raise ValueError("expects at least one axis after the batch")
        if isinstance(shape[-1], int):
            self.selected_of(shape[-1])
        return (*shape[:-1], len(self.indices))

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        selected = tuple(map(float, self.selected_of(x.shape[-1])))
        shape = self.output_shape(x.shape)
        return plan.apply("select_columns", x, shape=shape, numbers={"selected": selected})
