"""Validation of arrays that functions take and write to, by NumPy's rules.

*Plain* is an array that kernels can read: of the dtype that they compute in, C-contiguous and
aligned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike, NDArray

from chainrule.ops.entries import COMPUTED, DOUBLE, SINGLE
from chainrule.utils.arguments import Check
from chainrule.utils.arrays import GATHERED, FloatArray
from chainrule.utils.protocols import as_array

_NUMBERS = (int, float)  # they take the arrays' dtype
_FLOATS = frozenset({np.dtype("float16"), SINGLE, DOUBLE})
Arrays = list[NDArray[Any]]


def number(check: Check, value: Any, name: str, *arrays: ArrayLike) -> float:
    """Return ``check(value, name)``, done in the dtype that functions of the arrays compute in."""
    checked: float = check(value, name, None)
    if not (type(checked) is float and _is_right_in_all_dtypes(checked)):
        check(value, name, computed_in(real_arrays([name] * len(arrays), arrays)[1]))
    return checked


_UNCHANGING = frozenset({float, int, bool, tuple})


class NumberChecks:
    """Checks of numbers as :func:`number` does them, which remember what was right the last time.

    Parameters
    ----------
    checks : by name, how each number is validated.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        # What was right, its types, and what it became: in one tuple, for other threads.
        self._known: tuple[tuple[Any, ...] | None, list[Any], tuple[Any, ...]] = None, [], ()

    def __call__(self, values: tuple[Any, ...], arrays: Sequence[ArrayLike]) -> tuple[Any, ...]:
        """Return the numbers, for functions of these arrays; those of a pair one by one."""
        known, types, right = self._known
        try:
            is_known = values == known
        except ValueError:  # of an array
            is_known = False
        if is_known and _types(values) == types:  # True equals 1
            return right
        return self._check(values, arrays)

    def _check(self, values: tuple[Any, ...], arrays: Sequence[ArrayLike]) -> tuple[Any, ...]:
        found: list[Any] = []
        for (name, check), value in zip(self._checks.items(), values, strict=True):
            checked = number(check, value, name, *arrays)
            found += checked if isinstance(checked, tuple) else [checked]
        right = tuple(found)
        if all(type(value) in _UNCHANGING for value in values) and all(
            type(value) is not float or _is_right_in_all_dtypes(value) for value in right
        ):
            self._known = values, _types(values), right
        return right


def _types(values: tuple[Any, ...]) -> list[Any]:
    """Return the types of values, and of those in a pair."""
    return [[*map(type, value)] if type(value) is tuple else type(value) for value in values]


def _is_right_in_all_dtypes(value: float) -> bool:
    return value == 0 or 1e-30 < value < 3e38


def is_plain(array: Any, dtype: np.dtype) -> bool:
    """Tell whether kernels can read ``array`` where it lies."""
    if type(array) is not ndarray or array.dtype != dtype:
        return False
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def plain(array: NDArray[Any], dtype: np.dtype) -> FloatArray:
    """Return ``array`` as a plain one: itself if it is."""
    if array.dtype == dtype and array.flags.carray and type(array) is ndarray:
        return array
    result = np.asarray(array, dtype, order="C")
    return result if result.flags.aligned else result.copy()


def real_arrays(names: Sequence[str], values: Sequence[ArrayLike]) -> tuple[Arrays, np.dtype]:
    """Return the values as arrays, and the dtype that NumPy promotes them to, if it is a float.

    Integers and booleans alone make float64. Python's numbers do not count beside arrays.

    Raises
    ------
    TypeError
        If one holds anything but real numbers of at most 64 bits.
    """
    arrays = []
    for i, value in enumerate(values):
        if type(value) is ndarray:
            array = value
        else:
            array = np.asarray(value) if type(value) in _NUMBERS else as_array(value, names[i])
        arrays.append(array if array.dtype in GATHERED else _in_native_order(array, names[i]))
    dtype = arrays[0].dtype
    for array in arrays:
        if array.dtype != dtype:
            pairs = zip(values, arrays, strict=True)
            dtype = np.result_type(*[v if type(v) in _NUMBERS else a for v, a in pairs])
            break
    return arrays, dtype if dtype in _FLOATS else DOUBLE


def _in_native_order(array: NDArray[Any], name: str) -> NDArray[Any]:
    native = array.dtype.newbyteorder("=")
    if native not in GATHERED:
        raise TypeError(
            f"{name} must hold real numbers of at most 64 bits, but its dtype is {array.dtype}."
        )
    return array.astype(native)


def computed_in(dtype: np.dtype) -> np.dtype:
    """Return the dtype that results of ``dtype`` are computed in: float16 takes float32."""
    return dtype if dtype in COMPUTED else SINGLE


def can_take(out: Any, shape: tuple[int, ...], dtype: np.dtype, inputs: Sequence[Any]) -> bool:
    """Tell whether a kernel can write into ``out`` while it reads the inputs."""
    return (
        is_plain(out, dtype)
        and out.shape == shape
        and out.flags.writeable
        and not any(np.may_share_memory(out, array) for array in inputs)
    )


def output_array(
    out: Any, shape: tuple[int, ...], dtype: np.dtype, inputs: Sequence[Any]
) -> FloatArray:
    """Return the array that a kernel writes into: ``out`` if it can, else a new one."""
    if out is not None and can_take(out, shape, dtype, inputs):
        result: FloatArray = out
        return result
    return np.empty(shape, dtype)


def deliver(result: NDArray[Any], out: Any, where: ArrayLike = True, name: str = "out") -> Any:
    """Return ``result``, or ``out`` with it inside, where ``where`` is true.

    Raises
    ------
    TypeError
        If ``out`` is no array, or its dtype cannot hold a float; or ``where`` holds no booleans.
    ValueError
        If ``out`` is read-only, or the result does not broadcast to its shape.
    """
    if out is result:
        return out
    if out is None:
        if where is True:
            return result if result.ndim else result[()]
        shape = broadcast_shape(("the result", "where"), (result, np.asarray(where)))
        out = np.empty(shape, result.dtype)
    check_out(out, result.shape, result.dtype, name)
    if where is True:
        out[...] = result
    else:
        if isinstance(where, ndarray) and where.dtype != np.bool_:
            raise TypeError(f"where must hold booleans, but its dtype is {where.dtype}.")
        np.copyto(out, result, casting="same_kind", where=where)
    return out


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype, name: str = "out") -> None:
    """Raise an error unless a result of this shape and dtype can go into ``out``."""
    if not isinstance(out, ndarray):
        raise TypeError(f"{name} must be an array, not {type(out).__name__}.")
    if out.dtype != dtype and not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{name} must hold floats, but its dtype is {out.dtype}.")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only.")
    if out.shape != shape and not broadcasts_to(shape, out.shape):
        raise ValueError(f"{name} has shape {out.shape}, but the result has shape {shape}.")


def broadcast_shape(names: Sequence[str], arrays: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """Return the shape that NumPy would stretch the arrays to; ValueError if there is none."""
    if len(arrays) == 1:
        return arrays[0].shape
    try:
        return np.broadcast(*arrays).shape
    except ValueError:
        raise ValueError(
            f"{' and '.join(names)} must have shapes that broadcast together, not "
            f"{' and '.join(str(array.shape) for array in arrays)}."
        ) from None


def stretched(array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype) -> FloatArray:
    """Return ``array`` as a plain one of this shape, to which it broadcasts."""
    if array.shape == shape:
        return plain(array, dtype)
    result = np.empty(shape, dtype)
    result[...] = array
    return result


def broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether NumPy would stretch an array of ``shape`` to the shape ``target``."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
