"""The memory of a plan: its arena, and views of the values in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.operations.operation import Tensor
from chainrule.plan.plan import Place, Plan
from chainrule.utils.arrays import aligned_zeros

Array = NDArray[Any]

MOST_VIEWS = 64  # kept for the next batch with as many rows


class Memory:
    """The arena of a plan.

    Parameters
    ----------
    plan : Plan
    dtype : float32 or float64

    Attributes
    ----------
    arena : array
        Values, gradients and workspaces, at the places that the plan gives them.
    """

    def __init__(self, plan: Plan, dtype: np.dtype) -> None:
        self.plan, self.dtype = plan, dtype
        self.arena = aligned_zeros(-(-plan.arena_bytes // plan.item), dtype)
        for start, values in plan.constants:
            self.arena[start : start + len(values)] = values
        self._views: dict[tuple[str, int, int], Array] = {}

    def rows_at(self, place: str, rows: int, number: int = 0) -> Array:
        """Return the arena's view of ``rows`` rows of input, d_input, output, d_output or seed.

        ``number`` selects one of several inputs, outputs or seeds. The gradient by an input to
        which the backward pass never comes is an array of zeros.
        """
        key = place, rows, number
        view = self._views.get(key)
        if view is None:
            found = self.plan.named.get((place, number))
            if found is None and place == "d_input" and self.plan.backward:
                return np.zeros((rows, *self.plan.input_shapes[number]), self.dtype)
            assert found is not None
            view = self._rows(found, rows).reshape(rows, *found.shape)
            if len(self._views) >= MOST_VIEWS:
                self._views.clear()
            self._views[key] = view
        return view

    def matrices(self, place: str, rows: int, numbers: Iterable[int]) -> list[Array]:
        """Return the same views for several numbers, with one axis for all of a row."""
        return [self.rows_at(place, rows, number).reshape(rows, -1) for number in numbers]

    def input_gradients(self, rows: int) -> list[Array]:
        """Return the arena's views of the gradient by each input."""
        return [self.rows_at("d_input", rows, i) for i in range(len(self.plan.inputs))]

    def value_at(self, tensor: Tensor, rows: int) -> Array:
        """Return the arena's view of ``rows`` rows of a value, as a matrix."""
        return self._rows(self.plan.value_of(tensor), rows)

    def gradient_at(self, tensor: Tensor, rows: int) -> Array:
        """Return the same of the gradient by a value."""
        return self._rows(self.plan.gradient_of(tensor), rows)

    def _rows(self, place: Place, rows: int) -> Array:
        size = prod(place.shape)
        return self.arena[place.start : place.start + rows * size].reshape(rows, size)

    def outputs(self, rows: int) -> list[Array]:
        """Return a copy of each output."""
        heads = range(len(self.plan.heads))
        return [self.rows_at("output", rows, head).copy() for head in heads]

    def start_back_with(self, gradients: Sequence[Array | float], rows: int) -> None:
        """Write the gradient by each output into the arena, for the backward pass."""
        for head, gradient in enumerate(gradients):
            self.rows_at("d_output", rows, head)[...] = gradient
