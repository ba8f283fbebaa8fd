"""Kernels on flat vectors become functions of arrays, as NumPy's ufuncs are.

Small arrays are put into one form first, the others read where they lie, if they have it. What has
not goes through ``np.nditer``, which broadcasts, converts, and keeps input and output apart as
ufuncs do, block by block.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy import empty, may_share_memory, ndarray
from numpy.typing import ArrayLike

from chainrule.ops.entries import Entries
from chainrule.ops.validation import (
    NumberChecks,
    broadcast_shape,
    can_take,
    check_out,
    computed_in,
    deliver,
    real_arrays,
    stretched,
)
from chainrule.utils.arguments import Check
from chainrule.utils.arrays import FloatArray

FEW = 1 << 13  # elements that are quicker copied than talked about
BLOCK = 1 << 15  # elements that stay in the second-level cache after they were copied

READ = ["readonly", "contig", "aligned", "nbo", "overlap_assume_elementwise"]
WRITE = [
    "writeonly", "allocate", "no_subtype", "no_broadcast", "contig", "aligned", "nbo",
    "overlap_assume_elementwise",
]  # fmt: skip


class ElementwiseFunction:
    """A function of each element: of one array, or of two and so on, and of some numbers.

    Parameters
    ----------
    kernel : function of flat vectors, the output's the last, and of numbers
    names : str
        The arguments' names, for messages.
    checks : by name, how each number is validated that follows the arrays.
    """

    def __init__(
        self, kernel: Callable[..., Any], names: Sequence[str], checks: Mapping[str, Check]
    ) -> None:
        self._names, self._checks = names, NumberChecks(checks)
        self._entries = Entries(kernel, "v" * (len(names) + 1) + "f" * len(checks))

    def __call__(self, arrays: Sequence[Any], out: Any, where: ArrayLike, *numbers: Any) -> Any:
        """Return the function's values, in ``out`` if given and only where ``where`` is true."""
        if numbers:
            numbers = self._checks(numbers, arrays)
        first = arrays[0]
        run = self._entries.get(first.dtype) if type(first) is ndarray else None
        if run is None or where is not True:
            return self._general(arrays, out, where, numbers)
        dtype, shape, is_small = first.dtype, first.shape, first.size <= FEW
        vectors = []
        for array in arrays:
            if type(array) is not ndarray or array.dtype != dtype or array.shape != shape:
                return self._general(arrays, out, where, numbers)
            flags = array.flags
            if not (flags.aligned and (is_small or flags.c_contiguous)):
                return self._general(arrays, out, where, numbers)
            vectors.append(array.ravel())
        if out is None:
            y = empty(shape, dtype)
            run(*vectors, y.ravel(), *numbers)
            return y if shape else y[()]
        if is_small:
            y = empty(shape, dtype)
            run(*vectors, y.ravel(), *numbers)
            return deliver(y, out)
        if can_take(out, shape, dtype, arrays):
            run(*vectors, out.ravel(), *numbers)
            return out
        return self._general(arrays, out, where, numbers)

    def _general(
        self, values: Sequence[ArrayLike], out: Any, where: ArrayLike, numbers: Sequence[float]
    ) -> Any:
        arrays, dtype = real_arrays(self._names, values)
        kind = computed_in(dtype)
        run = self._entries[kind]
        shape = broadcast_shape(self._names, arrays)
        if prod(shape) <= FEW:
            y = empty(shape, kind)
            vectors = [stretched(array, shape, kind).ravel() for array in arrays]
            run(*vectors, y.ravel(), *numbers)
        elif out is None or where is not True:
            y = self._in_blocks(run, arrays, None, kind, numbers)
        else:
            check_out(out, shape, dtype)
            return self._in_blocks(run, arrays, out, kind, numbers)
        return deliver(y if kind == dtype else y.astype(dtype), out, where)

    @staticmethod
    def _in_blocks(
        run: Callable[..., Any],
        arrays: Sequence[FloatArray],
        out: Any,
        kind: np.dtype,
        numbers: Sequence[float],
    ) -> FloatArray:
        # A kernel that reads what it writes does so number by number.
        is_shared = out is not None and any(may_share_memory(out, array) for array in arrays)
        operands = np.nditer(  # type: ignore[call-overload]
            [*arrays, out],
            ["external_loop", "buffered", "copy_if_overlap"],
            [READ] * len(arrays) + [WRITE],
            [kind] * (len(arrays) + 1),
            casting="same_kind",
            buffersize=BLOCK,
        )
        with operands:
            for *vectors, y in operands:
                if is_shared:
                    vectors = [vector.copy() for vector in vectors]
                run(*vectors, y, *numbers)
            result: FloatArray = operands.operands[-1] if out is None else out
        return result
