"""A vector for each code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.layers.initializers import Initializer, Normal
from chainrule.layers.layer import Layer, Parameter, short_repr
from chainrule.layers.lengths import PartialShape
from chainrule.operations.operation import Shape, Tensor
from chainrule.plan.builder import PlanBuilder
from chainrule.utils.arguments import integer, shortened
from chainrule.utils.arrays import FloatArray

__all__ = ["Embedding"]

ROWS = 1 << 16  # that are checked at a time, as X may lie on a disk


@dataclass(frozen=True)
class _TableOfVectors(Initializer):
    """Normally distributed rows, but for one of zeros."""

    zeros: int | None

    def __call__(self, shape: Shape, fan_in: int, rng: np.random.Generator) -> FloatArray:
        table = Normal()(shape, fan_in, rng)
        if self.zeros is not None:
            table[self.zeros] = 0
        return table


@dataclass(frozen=True)
class Embedding(Layer):
    """Looks up the vector of each code: row ``x`` of a table, which is trained.

    Codes are whole numbers from 0 on, as integers or floats. They are the network's input, or
    columns of it, so the layer is the first of a network or of a branch, or follows
    :class:`Columns` there. The derivative by a code is 0.

    Shapes: input ``(n, *)`` with at least one axis after the batch, output ``(n, *,
    embedding_dim)``; weight ``(num_embeddings, embedding_dim)``.

    Parameters
    ----------
    num_embeddings : int
        How many codes there are, at least 1; at most 2**24 in a network of float32.
    embedding_dim : int
        How many numbers a vector has, at least 1.
    padding_idx : int, optional
        A code whose vector begins with zeros, and is not trained: its gradient counts as 0. One
        below 0 counts from the end, as in PyTorch.

    Raises
    ------
    ValueError
        If an argument is out of range; where a network gets a code that is negative, too large or
        no whole number: it names row and column, before anything is changed.
    TypeError
        If an argument is no integer.

    Notes
    -----
    In :func:`fit`, a step of :class:`SGD` without momentum, weight decay and clipping reads and
    changes only the rows of the table that the batch has codes of, as all others have the gradient
    0. So its time does not depend on the size of the table. (``net.grads`` is not written then.)
    All other optimizers change every row at each step, as PyTorch's do with a dense gradient:
    :class:`Adam` moves a row by its running mean also where the batch has not its code.

    Examples
    --------
    >>> import chainrule as cr
    >>> net = cr.Sequential(cr.Embedding(3, 2), cr.Flatten(), dtype="float64")
    >>> net.params = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    >>> net.predict([[2, 0], [1, 1]])
    array([[2. , 2.5, 0. , 0.5],
           [1. , 1.5, 1. , 1.5]])
    >>> net.predict([[2, 3]])
    Traceback (most recent call last):
        ...
    ValueError: X has the code 3 at row 0, column 1, but Embedding(3, 2) (layer 0) takes whole numbers from 0 to 2. There are 3 codes, and the first is 0.
    """  # noqa: E501

    operation: ClassVar[str] = "embedding"
    takes_codes: ClassVar[bool] = True
    torch_axis: ClassVar[int | None] = -1
    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_embeddings", "embedding_dim"):
            number = integer(getattr(self, name), f"Embedding's {name}", least=1)
            object.__setattr__(self, name, number)
        if self.padding_idx is not None:
            count = self.num_embeddings
            index = integer(self.padding_idx, "Embedding's padding_idx", least=-count)
            if index >= count:
                raise ValueError(f"Embedding's padding_idx must be less than {count}, not {index}.")
            object.__setattr__(self, "padding_idx", index % count)

    def __repr__(self) -> str:
        return short_repr(self, "num_embeddings", "embedding_dim")

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        """Raise ValueError unless a dtype holds all codes."""
        if dtype is not None and self.num_embeddings > (most := 2 ** (np.finfo(dtype).nmant + 1)):
            raise ValueError(
                f"Embedding's num_embeddings must be at most {most:,} in {dtype}, which holds the "
                f"codes, not {self.num_embeddings:,}."
            )

    def check_codes(
        self,
        x: NDArray[Any],
        name: str,
        layer: str,
        columns: Sequence[int] | None = None,
        column_names: Sequence[Any] = (),
    ) -> None:
        for begin in range(0, len(x), ROWS):
            codes = x[begin : begin + ROWS]
            if columns is not None:
                codes = codes[..., columns]
            wrong = (codes < 0) | (codes >= self.num_embeddings)
            if codes.dtype.kind == "f":
                wrong |= codes != np.floor(codes)
            if wrong.any():
                row, *column = map(int, np.argwhere(wrong)[0])
                code = codes[row, *column]
                if columns is not None:
                    column[-1] = columns[column[-1]]
                place = str(column[0] if len(column) == 1 else tuple(column))
                if column_names:
                    place += f" ({shortened(column_names[column[-1]])})"
                raise ValueError(
                    f"{name} has the code {code} at row {begin + row}, column {place}, but "
                    f"{self!r} ({layer}) takes whole numbers from 0 to {self.num_embeddings - 1}."
                    f"{self._hint(code)}"
                )

    def _hint(self, code: float) -> str:
        """Return what may be wrong where codes are one too many, or one too few."""
        if code == self.num_embeddings:
            return f" There are {code:.0f} codes, and the first is 0."
        return " In codes of pandas, -1 stands for no value: give it a code." if code == -1 else ""

    def shape_after(self, *shapes: PartialShape) -> PartialShape:
        (shape,) = shapes
        if not shape:
            raise ValueError("expects at least one axis after the batch")
        return (*shape, self.embedding_dim)

    def parameters(self) -> dict[str, Parameter]:
        shape = self.num_embeddings, self.embedding_dim
        return {"weight": Parameter(shape, _TableOfVectors(self.padding_idx))}

    def lower(self, plan: PlanBuilder, x: Tensor) -> Tensor:
        weight = plan.parameter("weight", (self.num_embeddings, self.embedding_dim))
        padding = -1 if self.padding_idx is None else self.padding_idx
        return plan.apply(
            self.operation,
            x,
            shape=self.output_shape(x.shape),
            parameters={"weight": weight},
            numbers={"padding": padding},
        )
