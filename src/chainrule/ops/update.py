"""Optimizer updates in place, and the clipping of gradients before them."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np
from numpy import may_share_memory, ndarray
from numpy.typing import ArrayLike

from chainrule.kernels import norm
from chainrule.operations import adam, adamw, sgd
from chainrule.ops.entries import COMPUTED, Entries
from chainrule.ops.validation import (
    broadcasts_to,
    check_out,
    computed_in,
    number,
    plain,
    real_arrays,
)
from chainrule.utils.arguments import Check, above_zero, at_least_zero, fraction_below_one, integer

Arrays = ArrayLike | Sequence[ArrayLike]

_sum_of_squares = Entries(norm.sum_of_squares, "v")


class _Update:
    """A kernel that changes all its vectors but the second, by the second.

    Arrays that it cannot change where they lie are copied, and what became of them is copied back.
    Behind them it gets ``unused`` vectors that are empty.
    """

    def __init__(
        self, kernel: Callable[..., None], names: Sequence[str], numbers: str, unused: int = 0
    ) -> None:
        self._names = names
        self._entries = Entries(kernel, "v" * (len(names) + unused) + numbers)
        self._unused = {dtype: [np.empty(0, dtype)] * unused for dtype in COMPUTED}

    def __call__(self, given: Sequence[Any], *numbers: float) -> None:
        groups = _groups(self._names, given)
        checked = [(a, None if _can_update_in_place(a) else self._check(a)) for a in groups]
        for arrays, dtype in checked:
            if dtype is None:
                self._call(arrays[0].dtype, arrays, numbers)
            else:
                self._change_copies(arrays, dtype, numbers)

    def _change_copies(
        self, arrays: Sequence[Any], dtype: np.dtype, numbers: Sequence[float]
    ) -> None:
        copies = [np.empty(arrays[0].shape, dtype) for _ in arrays]
        for copy, array in zip(copies, arrays, strict=True):
            copy[...] = array
        self._call(dtype, copies, numbers)
        for i, copy in enumerate(copies):
            if i != 1:
                arrays[i][...] = copy

    def _call(self, dtype: np.dtype, arrays: Sequence[Any], numbers: Sequence[float]) -> None:
        vectors = [array.ravel() for array in arrays]
        self._entries[dtype](*vectors, *self._unused[dtype], *numbers)

    def _check(self, arrays: Sequence[Any]) -> np.dtype:
        """Raise an error unless the arrays fit together; return the dtype of their copies."""
        values, dtype = real_arrays(self._names, arrays)
        params, grads = values[:2]
        for i, name in enumerate(self._names):
            if i == 1:
                if not broadcasts_to(grads.shape, params.shape):
                    raise ValueError(
                        f"grads must broadcast to the shape of params, {params.shape}, but its "
                        f"shape is {grads.shape}."
                    )
                continue
            check_out(arrays[i], params.shape, dtype, name)
            if arrays[i].shape != params.shape:
                raise ValueError(
                    f"{name} must have the shape of params, {params.shape}, but its shape is "
                    f"{arrays[i].shape}."
                )
        for i, j in combinations([i for i in range(len(arrays)) if i != 1], 2):
            if np.shares_memory(arrays[i], arrays[j]):
                raise ValueError(f"{self._names[i]} and {self._names[j]} share memory.")
        return computed_in(dtype)


_sgd = _Update(sgd.sgd_update_without_momentum, ("params", "grads"), "ff")
_sgd_with_momentum = _Update(sgd.sgd_update, ("params", "grads", "velocity"), "fffb")
_MOMENTS = "params", "grads", "mean", "square"
_adam = _Update(adam.adam_update, _MOMENTS, "fffffbi", unused=1)
_adamw = _Update(adamw.adamw_update, _MOMENTS, "fffffbi", unused=1)


def sgd_update(
    params: Arrays,
    grads: Arrays,
    velocity: Arrays | None = None,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> None:
    """Step against the gradient, in place, or against its running sum, the velocity.

    ``g = g + weight_decay * w``, ``v = momentum * v + g``, and ``w = w - lr * v``; with nesterov,
    ``w = w - lr * (g + momentum * v)``.

    Parameters
    ----------
    params : array, or list of arrays
        Changed.
    grads : array, or list of arrays, that broadcast to the shapes of params
    velocity : array, or list of arrays, of the shapes of params, optional
        Changed; zeros before the first step. Needed if there is momentum.
    lr, momentum, weight_decay, nesterov
        As for :class:`chainrule.SGD`.

    Raises
    ------
    ValueError
        If shapes or numbers are wrong, there is momentum and no velocity, or params and velocity
        share memory; before anything is changed. Entries of a list are not compared.
    TypeError
        If params or velocity are no arrays of floats.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> w, dw = np.ones(2), np.array([1.0, -1.0])
    >>> cr.ops.sgd_update(w, dw, lr=0.5)
    >>> w
    array([0.5, 1.5])
    """
    lr = _number(at_least_zero, lr, "lr", params)
    weight_decay = _number(at_least_zero, weight_decay, "weight_decay", params)
    momentum = fraction_below_one(momentum, "momentum")
    if momentum and velocity is None:
        raise ValueError("velocity must be given where there is momentum.")
    if nesterov and not momentum:
        raise ValueError("nesterov needs a momentum above 0.")
    if velocity is None:
        _sgd((params, grads), lr, weight_decay)
    else:
        _sgd_with_momentum((params, grads, velocity), lr, momentum, weight_decay, bool(nesterov))


def adam_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    square: Arrays,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Take Adam's step, in place.

    Parameters
    ----------
    params : array, or list of arrays
        Changed.
    grads : array, or list of arrays, that broadcast to the shapes of params
    mean, square : arrays, or lists of arrays, of the shapes of params
        The running mean of the gradients and of their squares; changed, zeros before the first
        step. Where a square overflows, as of a gradient above 5.8e20 in float32, the parameter
        becomes NaN.
    step : int
        The number of this step, from 1.
    lr, betas, eps, weight_decay
        As for :class:`chainrule.Adam`.

    Raises
    ------
    ValueError
        If shapes or numbers are wrong, or two of params, mean and square share memory; before
        anything is changed. Entries of a list are not compared.
    TypeError
        If params, mean or square are no arrays of floats, or step is no integer.

    References
    ----------
    Kingma and Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> w, dw, mean, square = np.ones(2), np.array([4.0, -4.0]), np.zeros(2), np.zeros(2)
    >>> cr.ops.adam_update(w, dw, mean, square, step=1, lr=0.5)
    >>> w.round(6)
    array([0.5, 1.5])
    """
    numbers = _adam_numbers(params, step, lr, betas, eps, weight_decay)
    _adam((params, grads, mean, square), *numbers)


def adamw_update(
    params: Arrays,
    grads: Arrays,
    mean: Arrays,
    square: Arrays,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> None:
    """Take the step of Adam with decoupled weight decay, in place: ``w * (1 - lr * weight_decay)``.

    Parameters
    ----------
    params, grads, mean, square, step, lr, betas, eps
        As for :func:`adam_update`.
    weight_decay : float
        Share of the weights, times lr, that the step takes away first; 0 or more.

    Raises
    ------
    ValueError, TypeError
        As :func:`adam_update`.

    References
    ----------
    Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> w, dw, mean, square = np.ones(2), np.zeros(2), np.zeros(2), np.zeros(2)
    >>> cr.ops.adamw_update(w, dw, mean, square, step=1, lr=0.5, weight_decay=0.1)
    >>> w
    array([0.95, 0.95])
    """
    numbers = _adam_numbers(params, step, lr, betas, eps, weight_decay)
    _adamw((params, grads, mean, square), *numbers)


def clip_grad_norm(grads: Arrays, max_norm: float) -> float:
    """Scale gradients in place, so that together they are no longer than ``max_norm``.

    As ``torch.nn.utils.clip_grad_norm_``: by ``max_norm / (norm + 1e-6)`` if that is less than 1.

    Parameters
    ----------
    grads : array, or list of arrays
    max_norm : float
        0 or more.

    Returns
    -------
    norm : float
        The length before: the root of the sum of all squares, accumulated in float64. If it is
        not finite, the gradients become NaN.

    Raises
    ------
    ValueError
        If max_norm is negative, or an array is read-only; before anything is changed.
    TypeError
        If grads are no arrays of floats.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> dw = np.array([3.0, 4.0])
    >>> cr.ops.clip_grad_norm(dw, 1.0)
    5.0
    >>> dw.round(6)
    array([0.6, 0.8])
    """
    max_norm = at_least_zero(max_norm, "max_norm")
    arrays = [array for (array,) in _groups(("grads",), (grads,))]
    total = 0.0
    for array in arrays:
        (values,), dtype = real_arrays(("grads",), (array,))
        check_out(array, values.shape, dtype, "grads")
        kind = computed_in(dtype)
        total += _sum_of_squares[kind](plain(values, kind).ravel())
    norm = sqrt(total)
    share = max_norm / (norm + 1e-6) if isfinite(norm) else nan
    if not share >= 1.0:
        for array in arrays:
            array *= share
    return norm


def _groups(names: Sequence[str], given: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Return the arrays of each update: those given, or the first of each list, and so on."""
    if not isinstance(given[0], (list, tuple)):
        return [given]
    for name, arrays in zip(names, given, strict=True):
        if not isinstance(arrays, (list, tuple)):
            raise TypeError(f"{name} must be a list of arrays, as {names[0]} is.")
        if len(arrays) != len(given[0]):
            raise ValueError(
                f"{names[0]} has {len(given[0])} arrays, and {name} has {len(arrays)}; there must "
                "be as many."
            )
    return list(zip(*given, strict=True))


def _can_update_in_place(arrays: Sequence[Any]) -> bool:
    """Tell whether a kernel can update the arrays in place: plain, of one shape, and disjoint."""
    first = arrays[0]
    if type(first) is not ndarray or first.dtype not in COMPUTED:
        return False
    dtype, shape = first.dtype, first.shape
    for i, array in enumerate(arrays):
        if type(array) is not ndarray or array.dtype != dtype or array.shape != shape:
            return False
        flags = array.flags
        if not (flags.carray or (i == 1 and flags.c_contiguous and flags.aligned)):
            return False
        for other in arrays[:i]:
            if may_share_memory(array, other):
                return False
    return True


def _number(check: Check, value: Any, name: str, params: Any) -> float:
    """Return ``check(value, name)``, done in the dtype of each array of parameters."""
    if not isinstance(params, (list, tuple)):
        return number(check, value, name, params)
    for array in params:
        number(check, value, name, array)
    checked: float = check(value, name, None)
    return checked


def _adam_numbers(
    params: Arrays,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[float, ...]:
    """Return Adam's numbers in its kernel's order, all checked."""
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers, not {betas!r}.")
    beta1 = fraction_below_one(betas[0], "betas[0]")
    beta2 = fraction_below_one(betas[1], "betas[1]")
    eps = above_zero(eps, "eps")
    if not 1e-20 < eps < 3e38:
        # In the first step, what is added to a root of 0 is the product.
        for used in (eps, eps * sqrt(1 - beta2)):
            _number(above_zero, used, "eps", params)
    return (
        _number(at_least_zero, lr, "lr", params),
        beta1,
        beta2,
        eps,
        _number(at_least_zero, weight_decay, "weight_decay", params),
        False,
        integer(step, "step", least=1),
    )
