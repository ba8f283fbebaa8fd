"""Optimizers: rules that turn gradients into steps. Formulas and defaults are torch.optim's."""

from __future__ import annotations

from abc import ABC
from collections.abc import Hashable, Mapping
from fnmatch import fnmatchcase
from math import prod, sqrt
from typing import Any, ClassVar, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.operations.operation import find
from chainrule.utils.arguments import (
    Check,
    Numbers,
    above_zero,
    at_least_zero,
    share_below_one,
    shortened,
)
from chainrule.utils.arrays import FloatArray, owned

__all__ = ["SGD", "Adam", "AdamW"]


class OptimizerState:
    """What an optimizer remembers of one network: its steps, and flat vectors like the parameters.

    Attributes
    ----------
    steps : array of one int64, the steps taken so far.
    vectors : array of shape (state vectors, parameters).
    numbers : the rule's numbers and those of the training, as they are now.
    program : what the engine does in a step with these numbers.
    """

    def __init__(self, vectors: NDArray[Any], steps: int = 0) -> None:
        self.steps, self.vectors = np.array([steps]), vectors
        self.lr = 0.0
        self.numbers: Hashable = None
        self.program: UpdateProgram | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the program out: it is made anew."""
        return self.__dict__ | {"numbers": None, "program": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Own the arrays, which may come back read-only."""
        own = {name: owned(state[name]) for name in ("steps", "vectors")}
        self.__dict__.update(state | own)

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return int(self.steps[0])

    @property
    def arguments(self) -> dict[str, Any]:
        """What the machine takes."""
        return {
            "update": self.program,
            "lr": self.lr,
            "steps": self.steps,
            "state": self.vectors,
        }

    def copy(self) -> OptimizerState:
        """Return an independent copy."""
        twin = OptimizerState(self.vectors.copy())
        twin._take_numbers(self)
        return twin

    def restore(self, earlier: OptimizerState) -> None:
        """Go back to what :meth:`copy` returned."""
        self.vectors[:] = earlier.vectors
        self._take_numbers(earlier)

    def _take_numbers(self, other: OptimizerState) -> None:
        self.steps[:] = other.steps
        self.lr, self.numbers, self.program = other.lr, other.numbers, other.program

    def has_numbers_of(self, other: OptimizerState, *, but_lr: bool = False) -> bool:
        """Return whether both have the same numbers, whatever the steps taken."""
        return self.numbers == other.numbers and (but_lr or self.lr == other.lr)


PLAIN = UpdateOptions()

WeightDecay = float | dict[str, float]


class Trainable(Protocol):
    """What an optimizer needs to know of a network."""

    @property
    def params(self) -> FloatArray: ...
    def parameters(self) -> dict[str, FloatArray]: ...
    def apply_update(self, state: OptimizerState) -> None: ...


def _weight_decay(value: Any, name: str, dtype: np.dtype | None) -> WeightDecay:
    if not isinstance(value, Mapping):
        return at_least_zero(value, name, dtype)
    for pattern in value:
        if not isinstance(pattern, str):
            raise TypeError(f"{name} must have name patterns as keys, not {pattern!r}.")
    return {key: at_least_zero(decay, f"{name}[{key!r}]", dtype) for key, decay in value.items()}


def _flag(value: Any, name: str, dtype: np.dtype | None) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}.")
    return value


class Optimizer(Numbers, ABC):
    """A rule with its numbers. It keeps one state for each network that it steps."""

    operation: ClassVar[str]  # a file's name in chainrule.operations
    number_checks: ClassVar[dict[str, Check]] = {
        "lr": at_least_zero,
        "weight_decay": _weight_decay,
    }

    def __init__(self, lr: float, weight_decay: WeightDecay) -> None:
        self.lr, self.weight_decay = lr, weight_decay
        self._states: WeakKeyDictionary[Trainable, OptimizerState] = WeakKeyDictionary()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.number_checks:
            value = self.checked(name, value)
            self.__dict__["_right_in"] = ()
        super().__setattr__(name, value)

    def step(self, network: Trainable) -> None:
        """Change the network's parameters in place, by its gradients."""
        if not hasattr(network, "apply_update"):  # as of optimizers that hold the parameters
            raise TypeError(f"step takes the network, not {shortened(network)}.")
        network.apply_update(self.state(network))

    @property
    def state_vectors(self) -> int:
        """How many vectors like the parameters it remembers."""
        return len(find(self.operation).state)

    def state(self, network: Trainable, options: UpdateOptions = PLAIN) -> OptimizerState:
        """Return what is remembered of ``network``, with the rule's numbers as they are now.

        ``options`` are what a training does besides.
        """
        self._check_in(network.params.dtype)
        runs = self._decay_runs(network)
        state = self._states.get(network)
        if state is None:
            state = self._states[network] = self._first_state(network)
        return self._with_numbers(state, network, runs, options)

    def trial_state(self, network: Trainable, room: OptimizerState | None = None) -> OptimizerState:
        """Return a copy of :meth:`state`, in ``room`` if given, for steps that leave no trace."""
        self._check_in(network.params.dtype)
        runs = self._decay_runs(network)
        state = self._states.get(network) or self._first_state(network)
        if room is None:
            room = state.copy()
        else:
            room.restore(state)
        return self._with_numbers(room, network, runs, PLAIN)

    def _check_in(self, dtype: np.dtype) -> None:
        """Check all numbers in this dtype, unless that was done since they were set."""
        if dtype not in self.__dict__.get("_right_in", ()):
            self.check_numbers(dtype)
            self.__dict__["_right_in"] = (*self.__dict__.get("_right_in", ()), dtype)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the rule's numbers as they are now, by the names of the arguments."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def set_hyperparameters(self, numbers: dict[str, Any]) -> None:
        """Set the rule's numbers to what :meth:`hyperparameters` returned."""
        for name, value in numbers.items():
            setattr(self, name, value)

    def _first_state(self, network: Trainable) -> OptimizerState:
        params = network.params
        return OptimizerState(np.zeros((self.state_vectors, params.size), params.dtype))

    def _with_numbers(
        self, state: OptimizerState, network: Trainable, runs: list[Run], options: UpdateOptions
    ) -> OptimizerState:
        rule, params = self._numbers(), network.params
        numbers = tuple(rule.items()), tuple(runs), options
        if numbers != state.numbers:
            program = UpdateProgram(params.size, params.dtype, options, self.operation, rule, runs)
            state.numbers, state.program = numbers, program
        state.lr = float(self.lr)
        return state

    def _decay_runs(self, network: Trainable) -> list[Run]:
        """Return begin, end and weight decay of each run of parameters that have the same."""
        decays = self.weight_decay
        if not isinstance(decays, dict):
            return [Run(0, network.params.size, decays)]
        views = network.parameters()
        for pattern in decays:
            if not any(fnmatchcase(name, pattern) for name in views):
                raise ValueError(
                    f"{type(self).__name__}'s weight_decay has a pattern {pattern!r} that matches "
                    f"no parameter of the network; these are {', '.join(views) or 'none'}."
                )
        runs: list[Run] = []
        begin = 0
        for name, view in views.items():
            decay = next((d for key, d in decays.items() if fnmatchcase(name, key)), 0.0)
            first, end = begin, begin + prod(view.shape)
            if runs and runs[-1][2] == decay:
                first = runs.pop()[0]
            runs.append(Run(first, end, decay))
            begin = end
        return runs

    def __getstate__(self) -> dict[str, Any]:
        """Weak references cannot be pickled: keep the networks beside their states."""
        return self.__dict__ | {"_states": list(self._states.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _states=WeakKeyDictionary(state["_states"]))

    def _numbers(self) -> dict[str, float]:
        """Return the numbers of the rule, but for the learning rate and the weight decay."""
        return {}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if wanted.

    ``g = gradient + weight_decay * w``, ``v = momentum * v + g``, ``w = w - lr * v``; with
    nesterov, ``w = w - lr * (g + momentum * v)``.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    momentum : float
        What is kept of the velocity v, from 0 to 1 (without 1).
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, 0 or more; by patterns, see :class:`AdamW`.
    nesterov : bool
        Look ahead along the momentum; needs one.

    References
    ----------
    Sutskever et al., *On the importance of initialization and momentum in deep learning*,
    ICML 2013.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=False)
    """

    operation = "sgd"
    number_checks: ClassVar = Optimizer.number_checks | {
        "momentum": share_below_one,
        "nesterov": _flag,
    }

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: WeightDecay = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum = momentum
        if nesterov and momentum == 0:
            raise ValueError("SGD's nesterov needs a momentum above 0.")
        self.nesterov = bool(nesterov)

    def __repr__(self) -> str:
        return (
            f"SGD(lr={self.lr}, momentum={self.momentum}, weight_decay={self.weight_decay}, "
            f"nesterov={self.nesterov})"
        )

    def _numbers(self) -> dict[str, float]:
        return {"momentum": float(self.momentum), "nesterov": int(self.nesterov)}


def _two_shares(value: Any, name: str, dtype: np.dtype | None) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, not {value!r}.") from None
    return share_below_one(first, f"{name}[0]", dtype), share_below_one(second, f"{name}[1]", dtype)


class Adam(Optimizer):
    """Steps by the gradient's running mean over the root of its running square.

    ``m = beta1 * m + (1 - beta1) * g``, ``s = beta2 * s + (1 - beta2) * g**2``, both corrected for
    their start at 0, and ``w = w - lr * m / (sqrt(s) + eps)``. Where s overflows, as of a gradient
    above 5.8e20 in float32, w becomes NaN, and :func:`fit` raises a :class:`NonFiniteError`.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    betas : (float, float)
        What is kept of the running mean and the running square, from 0 to 1 (without 1).
    eps : float
        Keeps the division finite, more than 0. It is checked in the network's dtype, as all numbers
        are before a step: 1e-50 is 0 in float32.
    weight_decay : float, or dict of name patterns to floats
        Factor of the L2 penalty, added to the gradient, 0 or more; by patterns, see
        :class:`AdamW`.

    References
    ----------
    Kingma and Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Adam()
    Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
    """

    operation = "adam"
    number_checks: ClassVar = Optimizer.number_checks | {"betas": _two_shares, "eps": above_zero}

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.betas, self.eps = betas, eps

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(lr={self.lr}, betas={self.betas}, eps={self.eps}, "
            f"weight_decay={self.weight_decay})"
        )

    def check_numbers(self, dtype: np.dtype | None = None) -> None:
        super().check_numbers(dtype)
        # It is this product that keeps the first steps' divisions finite.
        above_zero(self.eps * sqrt(1 - self.betas[1]), f"{type(self).__name__}'s eps", dtype)

    def _numbers(self) -> dict[str, float]:
        beta1, beta2 = self.betas
        return {"beta1": float(beta1), "beta2": float(beta2), "eps": float(self.eps)}


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step, ``w = w * (1 - lr * weight_decay)``.

    Parameters
    ----------
    lr, betas, eps
        As in :class:`Adam`.
    weight_decay : float, or dict of name patterns to floats
        Share of the weights, times lr, that each step takes away; 0 or more. A dict, such as
        ``{"*.weight": 1e-2}``, has shell patterns (:mod:`fnmatch`) of names of
        ``net.parameters()``: the first that matches a parameter counts, and one that none matches
        does not decay. A pattern that matches no parameter is a ValueError at the first step.

    References
    ----------
    Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.AdamW(lr=0.01)
    AdamW(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    operation = "adamw"

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: WeightDecay = 1e-2,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)
