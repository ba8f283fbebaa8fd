"""Products of two matrices, each as it lies in memory or transposed."""

from math import inf, prod
from threading import local
from typing import Any

import numpy as np
from numpy import empty, ndarray
from numpy.typing import NDArray

from chainrule.kernels import gemm
from chainrule.kernels.blocks import DIRECT_BYTES, PACKED_BYTES
from chainrule.ops.entries import COMPUTED, DOUBLE, Entries
from chainrule.ops.validation import plain
from chainrule.utils.arrays import FloatArray

NO_FLOOR, ZERO = -inf, 0.0  # a floor of zero makes a ReLU of the product
_NO_BIAS = {dtype: empty(0, dtype) for dtype in COMPUTED}

_multiply = Entries(gemm.multiply, "mmvnvm")
_multiply_transposed = Entries(gemm.multiply_transposed, "mimbvm")
_multiply_by_transposed = Entries(gemm.multiply_by_transposed, "mmbvm")


class _Workspace(local):
    """A thread's workspace: products pack blocks of the matrices into it."""

    def __init__(self) -> None:
        memory = empty(max(DIRECT_BYTES, PACKED_BYTES) // DOUBLE.itemsize)
        self.of = {dtype: memory.view(dtype) for dtype in COMPUTED}


_workspace = _Workspace()


def is_readable(matrix: Any, dtype: np.dtype) -> bool:
    """Tell whether ``multiply`` can read a matrix where it lies: plain, or transposed so."""
    if type(matrix) is not ndarray or matrix.ndim != 2 or matrix.dtype != dtype:
        return False
    flags = matrix.flags
    return flags.forc and flags.aligned


def readable(matrix: NDArray[Any], dtype: np.dtype) -> FloatArray:
    """Return a matrix as ``multiply`` can read it: itself if it can."""
    return matrix if is_readable(matrix, dtype) else plain(matrix, dtype)


def rows_of(array: NDArray[Any], dtype: np.dtype) -> FloatArray:
    """Return the vectors along the last axis as the rows of a readable matrix."""
    shape = array.shape
    matrix = array if len(shape) == 2 else array.reshape(prod(shape[:-1]), shape[-1])
    return readable(matrix, dtype)


def multiply(
    a: FloatArray,
    b: FloatArray,
    c: FloatArray,
    bias: FloatArray | None = None,
    floor: float = NO_FLOOR,
) -> None:
    """Write ``max(a @ b + bias, floor)`` into c, which is plain."""
    dtype = c.dtype
    workspace = _workspace.of[dtype]
    if not b.flags.c_contiguous:
        _multiply_by_transposed[dtype](plain(a, dtype), b.T, False, workspace, c)
    elif a.flags.c_contiguous:
        _multiply[dtype](a, b, _NO_BIAS[dtype] if bias is None else bias, floor, workspace, c)
        return
    else:
        _multiply_transposed[dtype](a.T, 0, b, False, workspace, c)
    if bias is not None:
        c += bias
    if floor == ZERO:
        np.maximum(c, ZERO, out=c)
