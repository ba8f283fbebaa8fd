"""The rectifier whose slope is an array, and its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.operations import prelu as kernels
from chainrule.ops.entries import Entries
from chainrule.ops.product import rows_of
from chainrule.ops.validation import (
    broadcast_shape,
    check_out,
    computed_in,
    deliver,
    plain,
    real_arrays,
    stretched,
)

_prelu = Entries(kernels.prelu, "mmvfm")
_prelu_backward = Entries(kernels.prelu_backward, "mmmvfmv")


def prelu(x: ArrayLike, weight: ArrayLike, *, out: Any = None) -> Any:
    """Parametric rectifier: x where it is positive, else ``weight * x``.

    Parameters
    ----------
    x : array_like of real numbers
        Of shape ``(*, channels)``.
    weight : array_like of real numbers
        Of shape (channels,), or (1,) for all channels.
    out : array, optional
        It takes the result.

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    References
    ----------
    He et al., *Delving Deep into Rectifiers*, ICCV 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.ops.prelu([[-1.0, -2.0], [3.0, 4.0]], [0.5, 0.25])
    array([[-0.5, -0.5],
           [ 3. ,  4. ]])
    """
    (array, slopes), dtype = real_arrays(("x", "weight"), (x, weight))
    kind = computed_in(dtype)
    _check_weight(slopes, array.shape)
    rows = plain(rows_of(array, kind), kind)
    y = np.empty(rows.shape, kind)
    _prelu[kind](rows, rows, plain(slopes, kind), 1.0, y)
    return deliver(y.reshape(array.shape).astype(dtype, copy=False), out)


def prelu_backward(
    dy: ArrayLike, x: ArrayLike, weight: ArrayLike, *, out: Sequence[Any] | None = None
) -> tuple[Any, Any]:
    """Return the derivatives of :func:`prelu`, from its input: by x, and by the weight.

    Parameters
    ----------
    dy, x : array_like of real numbers
        They broadcast together to shape ``(*, channels)``.
    weight : array_like of real numbers
        Of shape (channels,), or (1,) for all channels.
    out : two arrays, optional
        Or None in the place of one.

    Returns
    -------
    dx : array
        ``dy`` where x is positive, else ``weight * dy``.
    d_weight : array
        Of the weight's shape: the sum of ``dy * x`` where x is not positive.

    Raises
    ------
    ValueError
        If the shapes do not fit together; or as all functions here do.

    Examples
    --------
    >>> import chainrule as cr
    >>> dx, d_weight = cr.ops.prelu_backward([[1.0, 1.0]], [[-1.0, 2.0]], [0.5])
    >>> dx.tolist(), d_weight.tolist()
    ([[0.5, 1.0]], [-1.0])
    """
    names = "dy", "x", "weight"
    (*both, slopes), dtype = real_arrays(names, (dy, x, weight))
    kind, shape = computed_in(dtype), broadcast_shape(names[:2], both)
    _check_weight(slopes, shape)
    outs: Sequence[Any] = (None, None) if out is None else out
    if not isinstance(outs, tuple | list) or len(outs) != 2:
        raise TypeError(f"out must be two arrays, for dx and d_weight, not {out!r}.")
    for array, made, name in zip(outs, (shape, slopes.shape), ("dx", "d_weight"), strict=True):
        if array is not None:
            check_out(array, made, dtype, f"out's {name}")
    d_rows, rows = (rows_of(stretched(array, shape, kind), kind) for array in both)
    dx, d_weight = np.empty(rows.shape, kind), np.empty(slopes.shape, kind)
    _prelu_backward[kind](d_rows, rows, rows, plain(slopes, kind), 1.0, dx, d_weight)
    results = dx.reshape(shape), d_weight
    d_x, d_slopes = (
        deliver(result.astype(dtype, copy=False), array)
        for result, array in zip(results, outs, strict=True)
    )
    return d_x, d_slopes


def _check_weight(weight: NDArray[Any], shape: tuple[int, ...]) -> None:
    if not shape:
        raise ValueError("x must have at least one axis.")
    if weight.shape not in ((1,), shape[-1:]):
        raise ValueError(
            f"weight must have shape {shape[-1:]} or (1,), as x has shape {shape}, but its shape "
            f"is {weight.shape}."
        )
