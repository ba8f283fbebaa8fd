"""Validation of what derivatives take: network, loss, parameters, directions, wrt and out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.losses import Loss
from chainrule.models.sequential import Sequential, check_network
from chainrule.utils import arrays
from chainrule.utils.arguments import kind_hint, shortened
from chainrule.utils.arrays import FloatArray
from chainrule.utils.inputs import ArrayTuple, parts_like

PARAMS, X = "params", "x"
Wrt = str | tuple[str, ...]


def check_loss(net: Any, loss: Any) -> None:
    """Raise TypeError unless ``net`` is a network and ``loss`` a loss."""
    check_network(net)
    if not isinstance(loss, Loss):
        raise TypeError(
            f"loss must be a loss such as cr.MSELoss(), not {shortened(loss)}.{kind_hint(loss)}"
        )


def names_of(wrt: Wrt) -> tuple[str, ...]:
    """Return ``wrt`` as a tuple of names; ValueError unless it is "params", "x" or both."""
    names = tuple(wrt) if isinstance(wrt, tuple | list) else (str(wrt),)
    if not names or len(set(names)) < len(names) or not set(names) <= {PARAMS, X}:
        raise ValueError(f'wrt must be "params", "x" or a tuple of both, not {wrt!r}.')
    return names


def packed(wrt: Wrt, by_name: dict[str, Any]) -> Any:
    """Return the value that ``wrt`` names, or a tuple of them."""
    return by_name[wrt] if isinstance(wrt, str) else tuple(by_name[name] for name in wrt)


def parameter_vector(net: Sequential, value: ArrayLike | None) -> FloatArray:
    """Return parameters as compiled code takes them; None: the network's own."""
    return net.params if value is None else flat_vector(net, value, PARAMS)


def flat_vector(net: Sequential, value: ArrayLike, name: str) -> FloatArray:
    """Return a vector with a number for each parameter, in the layout that compiled code takes.

    It is not copied if it is contiguous, writable and of the network's dtype, as
    :meth:`Machine.vectors` takes it.
    """
    vector = arrays.finite_array(value, name, net.dtype)
    if vector.shape != net.params.shape:
        raise ValueError(
            f"{name} must have shape {net.params.shape}, one number a parameter, but its shape is "
            f"{vector.shape}."
        )
    if vector.dtype == net.dtype and vector.flags.carray:
        return vector
    return np.array(vector, net.dtype)


def array_of_shape(
    value: ArrayLike, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> FloatArray:
    """Return real numbers as a contiguous array of ``shape``; ValueError if it has another."""
    array = arrays.real_array(value, name, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but its shape is {array.shape}.")
    return array


def output_array(
    out: FloatArray | None, name: str, shape: tuple[int, ...], dtype: np.dtype
) -> FloatArray:
    """Return the array to write a result into: ``out`` if it is valid, a new one if it is None."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be an array, not {out!r}.")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(
            f"{name} must have shape {shape} and dtype {dtype}, but it has {out.shape} and "
            f"{out.dtype}."
        )
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError(f"{name} must be contiguous and writable.")
    return out


def directions_of(
    net: Sequential, value: Any, name: str, wrt: Wrt, x_shape: tuple[int, ...]
) -> dict[str, Any]:
    """Return the directions by name: an array for each entry of ``wrt``.

    That of x is an ``ArrayTuple`` if the network has several inputs.
    """
    names = names_of(wrt)
    values = (value,) if isinstance(wrt, str) else value
    if not isinstance(values, tuple | list) or len(values) != len(names):
        raise ValueError(f"{name} must be a tuple of {len(names)} arrays, as wrt is {wrt!r}.")
    directions: dict[str, Any] = {}
    for part, (of, direction) in enumerate(zip(names, values, strict=True)):
        called = name if isinstance(wrt, str) else f"{name}[{part}]"
        if of == PARAMS:
            directions[of] = flat_vector(net, direction, called)
        else:
            parts = [
                array_of_shape(part, own, shape, net.dtype)
                for part, own, shape in parts_like(direction, called, x_shape)
            ]
            directions[of] = parts[0] if len(parts) == 1 else ArrayTuple(tuple(parts))
    return directions
