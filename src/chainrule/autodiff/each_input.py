"""Derivatives by all elements of the inputs, side by side, and their form for several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any

from chainrule.operations.operation import Shape
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import one_or_tuple


def columns_of(shapes: Sequence[Shape]) -> list[slice]:
    """Return the columns of a matrix that belong to each of several inputs.

    >>> columns_of([(2, 3), (4,)])
    [slice(0, 6, None), slice(6, 10, None)]
    """
    ends = accumulate(map(prod, shapes))
    return [slice(end - prod(shape), end) for end, shape in zip(ends, shapes, strict=True)]


def first_derivatives(matrices: FloatArray, shape: Shape, inputs: Sequence[Shape]) -> Any:
    """Return what has a column for each element, as an array, or a tuple of one for each input.

    ``shape`` is that of all axes before the last one.
    """
    parts = [matrices[..., columns] for columns in columns_of(inputs)]
    return one_or_tuple([part.reshape(*shape, *x) for part, x in zip(parts, inputs, strict=True)])


def second_derivatives(matrices: FloatArray, shape: Shape, inputs: Sequence[Shape]) -> Any:
    """Return what has a row and a column for each element; a tuple of tuples for several inputs.

    ``shape`` is that of all axes before the last two.
    """
    rows = [matrices[..., columns, :] for columns in columns_of(inputs)]
    return one_or_tuple(
        [first_derivatives(row, (*shape, *x), inputs) for row, x in zip(rows, inputs, strict=True)]
    )


def element_of(number: int, inputs: Sequence[Shape]) -> tuple[int, int]:
    """Return the input to which an element belongs, and its number there.

    >>> element_of(5, [(2, 3), (4,)]), element_of(6, [(2, 3), (4,)])
    ((0, 5), (1, 0))
    """
    for i, columns in enumerate(columns_of(inputs)):
        if number < columns.stop:
            return i, number - columns.start
    raise IndexError(number)
