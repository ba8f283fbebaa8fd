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
    """

    def __init__(self, kernel: Callable[..., Any], *names: str) -> None:
        self._names = names
        self._entries = Entries(kernel, "m" * (len(names) + 1))

    def __call__(self, arrays: Sequence[Any], axis: int, out: Any) -> Any:
        """Return the function's values along ``axis``, in ``out`` if given."""
        first = arrays[0]
        run = self._entries.get(first.dtype) if type(first) is ndarray else None
        if run is None or axis != -1 or first.ndim != 2 or first.size == 0:
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
        shape = broadcast_shape(self._names, arrays)
        if not -len(shape) <= axis < len(shape):
            raise np.exceptions.AxisError(axis, len(shape))
        rows = [stretched(array, shape, kind).swapaxes(axis, -1) for array in arrays]
        length = shape[axis]
        if length == 0:
            raise ValueError(f"{self._names[-1]} has shape {shape}, which is empty along {axis=}.")
        y = empty(rows[0].shape, kind)
        run(*[array.reshape(-1, length) for array in rows], y.reshape(-1, length))
        y = y.swapaxes(axis, -1)
        return deliver(y if kind == dtype else y.astype(dtype), out)
