"""Kernels on the rows of matrices become functions along any axis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import empty, ndarray

from chainrule.ops.entries import Entries
from chainrule.ops.validation import (
    broadcast_shape,
    computed_in,
    deliver,
    is_plain,
    real_arrays,
    stretched,
)
from chainrule.utils.arguments import integer


class RowwiseFunction:
    """A function of the vectors along an axis, of one array or of two and so on.

    Parameters
    ----------
    kernel : function of matrices, the output's the last
    names : str
        The arguments' names, for messages.
    ratio : int
        How many numbers of x make one of y, along the axis.
    """

    def __init__(self, kernel: Callable[..., Any], names: Sequence[str], ratio: int) -> None:
        self._names, self._ratio = names, ratio
        self._entries = Entries(kernel, "m" * (len(names) + 1))

    def __call__(self, arrays: Sequence[Any], axis: int, out: Any) -> Any:
        """Return the function's values along ``axis``, in ``out`` if given."""
        first = arrays[0]
        run = self._entries.get(first.dtype) if type(first) is ndarray else None
        if run is None or axis != -1 or first.ndim != 2 or first.size == 0 or self._ratio != 1:
            return self._general(arrays, axis, out)
        dtype, shape = first.dtype, first.shape
        for array in arrays:
            if not is_plain(array, dtype) or array.shape != shape:
                return self._general(arrays, axis, out)
        y = empty(shape, dtype)
        run(*arrays, y)
        return deliver(y, out)

    def _general(self, values: Sequence[Any], axis: int, out: Any) -> Any:
        arrays, dtype = real_arrays(self._names, values)
        axis = integer(axis, "axis", least=-64)
        kind = computed_in(dtype)
        run = self._entries[kind]
        *shapes, shape = self._shapes(arrays, axis)
        rows = [
            stretched(array, stretch, kind).swapaxes(axis, -1)
            for array, stretch in zip(arrays, shapes, strict=True)
        ]
        y = empty(shape, kind).swapaxes(axis, -1).copy()  # rows lie one after the other
        run(*[array.reshape(-1, array.shape[-1]) for array in (*rows, y)])
        y = y.swapaxes(axis, -1)
        return deliver(y if kind == dtype else y.astype(dtype), out)

    def _shapes(self, arrays: Sequence[Any], axis: int) -> list[tuple[int, ...]]:
        """Return the shapes that the arrays are stretched to, then that of the result."""
        is_of_one_shape = self._ratio == 1
        shape = broadcast_shape(self._names, arrays) if is_of_one_shape else arrays[-1].shape
        if not -len(shape) <= axis < len(shape):
            raise np.exceptions.AxisError(axis, len(shape))
        if shape[axis] == 0:
            raise ValueError(f"{self._names[-1]} has shape {shape}, which is empty along {axis=}.")
        if is_of_one_shape:
            return [shape] * (len(arrays) + 1)
        if shape[axis] % self._ratio:
            raise ValueError(
                f"{self._names[-1]} must have a multiple of {self._ratio} elements along "
                f"{axis=}, but its shape is {shape}."
            )
        of_y = list(shape)
        of_y[axis] //= self._ratio
        if len(arrays) == 1:
            return [shape, tuple(of_y)]
        if arrays[0].shape != tuple(of_y):
            raise ValueError(
                f"{self._names[0]} must have shape {tuple(of_y)}, as {self._names[-1]} has shape "
                f"{shape}, but its shape is {arrays[0].shape}."
            )
        return [tuple(of_y), shape, shape]
