"""The linear layer, its derivatives, and products of matrices with what often follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import empty
from numpy.typing import ArrayLike, NDArray

from chainrule.kernels import affine
from chainrule.ops.entries import COMPUTED, Entries
from chainrule.ops.functions import ACTIVATIONS, array_function
from chainrule.ops.product import (
    NO_FLOOR,
    ZERO,
    is_readable,
    multiply,
    readable,
    rows_of,
)
from chainrule.ops.validation import (
    broadcasts_to,
    check_out,
    computed_in,
    deliver,
    is_plain,
    output_array,
    plain,
    real_arrays,
    stretched,
)
from chainrule.utils.arrays import FloatArray

_sum_of_rows = Entries(affine.linear_backward_bias, "mbv")


def linear(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, *, out: Any = None) -> Any:
    """Linear layer: ``x @ w + b``.

    Parameters
    ----------
    x : array of shape ``(*, inputs)``
    w : array of shape (inputs, outputs)
    b : array of shape (outputs,), optional
        Or a number, or a matrix of one row.
    out : array that takes shape ``(*, outputs)``, optional

    Returns
    -------
    y : array of shape ``(*, outputs)``

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.linear([[1.0, 2.0]], [[3.0], [4.0]], [0.5])
    array([[11.5]])
    """
    if np.ndim(w) != 2:
        raise ValueError(f"w must have shape (inputs, outputs), but its shape is {np.shape(w)}.")
    return _matmul(("x", "w", "b"), x, w, b, None, out)


def linear_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike | None, *, out: Sequence[Any] | None = None
) -> tuple[Any, Any, Any]:
    """Return the derivatives of :func:`linear`: ``dy @ w.T``, ``x.T @ dy``, ``dy.sum(axis=0)``.

    Parameters
    ----------
    dy : array of shape ``(*, outputs)``
    x : array of shape ``(*, inputs)``
    w : array of shape (inputs, outputs), or None
        Only dx depends on it. Without it, dx is None: a first layer's dx is not used.
    out : three arrays, optional
        Or None in the place of any of them.

    Returns
    -------
    dx : array of shape ``(*, inputs)``, or None
    dw : array of shape (inputs, outputs)
    db : array of shape (outputs,)

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> dx, dw, db = cr.ops.linear_backward([[1.0], [2.0]], [[5.0], [6.0]], [[3.0]])
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[3.0], [6.0]], [[17.0]], [3.0])
    """
    given: Sequence[Any] = (dy, x) if w is None else (dy, x, w)
    dtype: Any = getattr(dy, "dtype", None)
    if out is None and dtype in COMPUTED and all(is_readable(array, dtype) for array in given):
        shapes = _shapes_of_derivatives(*given)
        return _derive(given, *[empty(shape, dtype) for shape in shapes])
    given, dtype = real_arrays(("dy", "x", "w"), given)
    shapes = _shapes_of_derivatives(*given)
    outs = (None, None, None) if out is None else _checked_outs(out, shapes, dtype)
    kind = computed_in(dtype)
    matrices = [rows_of(array, kind) for array in given]
    places = [output_array(o, shape, kind, given) for o, shape in zip(outs, shapes, strict=True)]
    dx, dw, db = (
        None if result is None else deliver(result if kind == dtype else result.astype(dtype), o)
        for result, o in zip(_derive(matrices, *places), outs, strict=True)
    )
    return dx, dw, db


def _derive(
    matrices: Sequence[FloatArray], dx: FloatArray, dw: FloatArray, db: FloatArray
) -> tuple[FloatArray | None, FloatArray, FloatArray]:
    """Return the derivatives in plain arrays, from readable matrices dy, x and maybe w."""
    dy, x, *rest = matrices
    for w in rest:
        multiply(dy, w.T, dx.reshape(x.shape))
    multiply(x.T, dy, dw)
    _sum_of_rows[dy.dtype](plain(dy, dy.dtype), False, db)
    return (dx if rest else None), dw, db


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    bias: ArrayLike | None = None,
    activation: str | None = None,
    *,
    out: Any = None,
) -> Any:
    """Product of matrices, ``activation(a @ b + bias)``.

    The bias and ``"relu"`` cost no pass of their own over the result.

    Parameters
    ----------
    a : array of shape ``(*, m, k)`` or (k,)
    b : array of shape ``(*, k, n)`` or (k,)
        As for ``np.matmul``: leading axes broadcast, vectors are taken for a row and a column.
        Transposes (``x.T``) are read where they lie.
    bias : array of shape (n,), optional
        Or a number, or a matrix of one row.
    activation : str, optional
        The name of an elementwise function here, such as ``"relu"``; its numbers are its defaults.
    out : array that takes shape ``(*, m, n)``, optional

    Raises
    ------
    ValueError
        If the shapes do not fit together, or there is no such activation; or as all functions
        here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.matmul([[1.0, 2.0]], [[3.0, -3.0], [4.0, 0.0]], [0.5, 0.5], "relu")
    array([[11.5,  0. ]])
    """
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}.")
    return _matmul(("a", "b", "bias"), a, b, bias, activation, out)


def _matmul(
    names: Sequence[str], a: Any, b: Any, bias: Any, activation: str | None, out: Any
) -> Any:
    floor = ZERO if activation == "relu" else NO_FLOOR
    is_last = activation in (None, "relu")
    dtype = kind = getattr(a, "dtype", None)
    if (
        dtype in COMPUTED
        and is_readable(a, dtype)
        and is_readable(b, dtype)
        and a.shape[1] == b.shape[0]
        and (bias is None or (is_plain(bias, dtype) and bias.shape == b.shape[1:]))
    ):
        y = output_array(out if is_last else None, (a.shape[0], b.shape[1]), dtype, (a, b, bias))
        multiply(a, b, y, bias, floor)
    else:
        arrays, dtype = real_arrays(names, [a, b] if bias is None else [a, b, bias])
        kind = computed_in(dtype)
        shape, a, b = _as_matrices(names, *arrays[:2])
        row = None if bias is None else _as_row(arrays[2], b.shape[-1], kind, names[2])
        y = output_array(out if is_last else None, shape, kind, arrays)
        _multiply_stacks(a, b, y, row, floor)
    if activation is not None and activation != "relu":
        y = array_function(activation)(y)
    return deliver(y if kind == dtype else y.astype(dtype), out)


def _multiply_stacks(
    a: NDArray[Any], b: NDArray[Any], y: FloatArray, row: FloatArray | None, floor: float
) -> None:
    """Multiply matrices along the leading axes."""
    kind, n = y.dtype, b.shape[-1]
    if b.ndim == 2:
        rows = rows_of(a, kind)
        multiply(rows, readable(b, kind), y.reshape(len(rows), n), row, floor)
        return
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(array, (*leading, *array.shape[-2:])) for array in (a, b))
    stack = y.reshape(*leading, a.shape[-2], n)
    for i in np.ndindex(leading):
        multiply(readable(a[i], kind), readable(b[i], kind), stack[i], row, floor)


def _as_row(bias: NDArray[Any], n: int, dtype: np.dtype, name: str) -> FloatArray:
    if not broadcasts_to(bias.shape, (1, n)):
        raise ValueError(
            f"{name} must have shape ({n},), one number for each column of the result, but its "
            f"shape is {bias.shape}."
        )
    return stretched(bias.reshape(bias.shape[-1:]), (n,), dtype)


def _as_matrices(
    names: Sequence[str], a: NDArray[Any], b: NDArray[Any]
) -> tuple[tuple[int, ...], NDArray[Any], NDArray[Any]]:
    """Return the product's shape, and the factors with vectors made matrices; check the shapes."""
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    depths = a.shape[-1:], b.shape[-2:-1] if b.ndim > 1 else b.shape
    if not depths[0] or depths[0] != depths[1]:
        raise ValueError(
            f"{names[0]}'s last axis must be as long as {names[1]}'s last but one, but their "
            f"shapes are {a.shape} and {b.shape}."
        )
    try:
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{names[0]} and {names[1]} must have leading axes that broadcast together, but their "
            f"shapes are {a.shape} and {b.shape}."
        ) from None
    a = a if a.ndim > 1 else a[np.newaxis]
    b = b if b.ndim > 1 else b[:, np.newaxis]
    return (*leading, *rows, *columns), a, b


def _shapes_of_derivatives(
    dy: NDArray[Any], x: NDArray[Any], w: NDArray[Any] | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of dx, dw and db; check those of what they are made of."""
    if dy.ndim == 0 or dy.shape[:-1] != x.shape[:-1] or x.ndim == 0:
        raise ValueError(
            "dy and x must have shapes (*, outputs) and (*, inputs), with as many rows, but their "
            f"shapes are {dy.shape} and {x.shape}."
        )
    weight = x.shape[-1], dy.shape[-1]
    if w is not None and w.shape != weight:
        raise ValueError(
            f"w must have shape {weight}, as x and dy have so many columns, but its shape is "
            f"{w.shape}."
        )
    return x.shape, weight, dy.shape[-1:]


def _checked_outs(out: Any, shapes: Sequence[tuple[int, ...]], dtype: np.dtype) -> Sequence[Any]:
    if not isinstance(out, tuple | list) or len(out) != 3:
        raise TypeError(f"out must be three arrays, for dx, dw and db, not {out!r}.")
    for array, shape, name in zip(out, shapes, ("dx", "dw", "db"), strict=True):
        if array is not None:
            check_out(array, shape, dtype, f"out's {name}")
    return out
