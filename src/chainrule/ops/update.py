"""Optimizer updates in place, and the clipping of gradients before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np
from numpy import may_share_memory, ndarray
from numpy.typing import ArrayLike

from chainrule.kernels import norm
from chainrule.operations import sgd
from chainrule.ops.entries import COMPUTED, Entries
from chainrule.ops.validation import (
    NumberChecks,
    broadcasts_to,
    check_out,
    computed_in,
    number,
    plain,
    real_arrays,
)
from chainrule.utils.arguments import (
    Check,
    above_zero,
    at_least_zero,
    flag,
    fraction_below_one,
    integer,
)

Arrays = ArrayLike | Sequence[ArrayLike]

_sum_of_squares = Entries(norm.sum_of_squares, "v")


class UpdateFunction:
    """A kernel that changes all its vectors but the second, by the second.

    Arrays that it cannot change where they lie are copied, and what became of them is copied back.
    For an array that is None, it gets one that is empty.

    Parameters
    ----------
    kernel : function of vectors, and of numbers
    names : the names of the arrays.
    form : a letter for each number, as of :class:`Entries`.
    """

    def __init__(self, kernel: Callable[..., None], names: Sequence[str], form: str) -> None:
        self._names = names
        self._entries = Entries(kernel, "v" * len(names) + form)
        self._empty = {dtype: np.empty(0, dtype) for dtype in COMPUTED}

    def __call__(self, given: Sequence[Any], *numbers: Any) -> None:
        """Change the arrays."""
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
        shape = arrays[0].shape
        copies = [None if array is None else np.empty(shape, dtype) for array in arrays]
        for copy, array in zip(copies, arrays, strict=True):
            if copy is not None:
                copy[...] = array
        self._call(dtype, copies, numbers)
        for i, copy in enumerate(copies):
            if i != 1 and copy is not None:
                arrays[i][...] = copy

    def _call(self, dtype: np.dtype, arrays: Sequence[Any], numbers: Sequence[float]) -> None:
        vectors = [self._empty[dtype] if array is None else array.ravel() for array in arrays]
        self._entries[dtype](*vectors, *numbers)

    def _check(self, arrays: Sequence[Any]) -> np.dtype:
        """Raise an error unless the arrays fit together; return the dtype of their copies."""
        given = [i for i, array in enumerate(arrays) if array is not None]
        names, arrays = [self._names[i] for i in given], [arrays[i] for i in given]
        values, dtype = real_arrays(names, arrays)
        params, grads = values[:2]
        for i, name in enumerate(names):
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
                raise ValueError(f"{names[i]} and {names[j]} share memory.")
        return computed_in(dtype)


class CheckedUpdate:
    """An update whose numbers are validated first.

    Parameters
    ----------
    update : UpdateFunction
    names : the names of the arrays.
    checks : by name, how each number is validated; ``betas`` are two numbers of the kernel.
    optional : the arrays that may be None; and for each, the number with which it is needed.
    """

    def __init__(
        self,
        update: UpdateFunction,
        names: Sequence[str],
        checks: Mapping[str, Check],
        optional: Mapping[str, str],
    ) -> None:
        self._update, self._optional = update, optional
        self._places = {array: names.index(array) for array in optional}
        self._takes_step = "step" in checks
        others = {name: check for name, check in checks.items() if name != "step"}
        self._checks, self._order = NumberChecks(others), [*others]
        self._last: tuple[tuple[Any, ...], list[str]] = (), []

    def __call__(self, given: Sequence[Any], *numbers: Any) -> None:
        """Change the arrays."""
        steps: tuple[int, ...] = ()
        if self._takes_step:
            numbers, steps = numbers[:-1], (integer(numbers[-1], "step", least=1),)
        params = given[0] if isinstance(given[0], (list, tuple)) else given[:1]
        checked, needed = self._last
        for array in params:
            right = self._checks(numbers, (array,))
            if right is not checked:
                named = dict(zip(self._order, numbers, strict=True))
                _check_root(named, array)
                checked, needed = right, [a for a, n in self._optional.items() if named[n]]
        self._last = checked, needed
        for name in needed:
            if given[self._places[name]] is None:
                raise ValueError(f"{name} must be given where there is {self._optional[name]}.")
        self._update(given, *checked, *steps)


def _check_root(numbers: Mapping[str, Any], params: Any) -> None:
    """Check what Adam and its like add to a root that is 0 in the first step: a product."""
    if "betas" in numbers and "eps" in numbers:
        number(above_zero, numbers["eps"] * sqrt(1 - numbers["betas"][1]), "eps", params)


_sgd = UpdateFunction(sgd.sgd_update_without_momentum, ("params", "grads"), "ff")
_sgd_with_momentum = UpdateFunction(sgd.sgd_update, ("params", "grads", "velocity"), "fffb")


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
    if flag(nesterov, "nesterov") and not momentum:
        raise ValueError("nesterov needs a momentum above 0.")
    if velocity is None:
        _sgd((params, grads), lr, weight_decay)
    else:
        _sgd_with_momentum((params, grads, velocity), lr, momentum, weight_decay, bool(nesterov))


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
    given = [[None] * len(given[0]) if arrays is None else arrays for arrays in given]
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
        if array is None:
            continue
        if type(array) is not ndarray or array.dtype != dtype or array.shape != shape:
            return False
        flags = array.flags
        if not (flags.carray or (i == 1 and flags.c_contiguous and flags.aligned)):
            return False
        for other in arrays[:i]:
            if other is not None and may_share_memory(array, other):
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
