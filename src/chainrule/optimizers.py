"""Optimizers: rules that turn gradients into steps. Formulas and defaults are torch.optim's."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from chainrule.arguments import above_zero, at_least_zero, share_below_one
from chainrule.engine.instructions import UPDATE, Op

if TYPE_CHECKING:
    from chainrule.network import Sequential

__all__ = ["SGD", "Adam", "AdamW"]


class OptimizerState:
    """What an optimizer remembers of one network: its steps, and flat vectors like the parameters.

    Attributes
    ----------
    rule : structured array of dtype ``UPDATE``, one row: the rule's numbers and the steps taken.
    vectors : array of shape (state vectors, parameters).
    """

    def __init__(self, rule: NDArray[Any], vectors: NDArray[Any]) -> None:
        self.rule, self.vectors = rule, vectors

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return int(self.rule["step"][0])

    def copy(self) -> OptimizerState:
        """Return an independent copy."""
        return OptimizerState(self.rule.copy(), self.vectors.copy())

    def restore(self, earlier: OptimizerState) -> None:
        """Go back to what :meth:`copy` returned."""
        self.rule[:] = earlier.rule
        self.vectors[:] = earlier.vectors

    def has_numbers_of(self, other: OptimizerState) -> bool:
        """Return whether both rules have the same numbers, whatever the steps taken."""
        rule = other.rule.copy()
        rule["step"] = self.step
        return bool(rule == self.rule)


T = TypeVar("T")


class _Checked(Generic[T]):
    """An attribute that is checked whenever it is set."""

    def __init__(self, check: Callable[[Any, str], T]) -> None:
        self._check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, optimizer: Optimizer, owner: type) -> T:
        value: T = optimizer.__dict__[self._name]
        return value

    def __set__(self, optimizer: Optimizer, value: T) -> None:
        name = f"{type(optimizer).__name__}'s {self._name}"
        optimizer.__dict__[self._name] = self._check(value, name)


class Optimizer(ABC):
    """A rule with its numbers. It keeps one state for each network that it steps."""

    op: ClassVar[Op]
    state_vectors: ClassVar[int]
    lr = _Checked(at_least_zero)
    weight_decay = _Checked(at_least_zero)

    def __init__(self, lr: float, weight_decay: float) -> None:
        self.lr, self.weight_decay = lr, weight_decay
        self._states: WeakKeyDictionary[Sequential, OptimizerState] = WeakKeyDictionary()

    def step(self, network: Sequential) -> None:
        """Change the network's parameters in place, by its gradients."""
        network.apply_update(self.state(network))

    def state(self, network: Sequential) -> OptimizerState:
        """Return what is remembered of ``network``, with the rule's numbers as they are now."""
        state = self._states.get(network)
        if state is None:
            state = self._states[network] = self._first_state(network)
        return self._with_numbers(state)

    def trial_state(
        self, network: Sequential, room: OptimizerState | None = None
    ) -> OptimizerState:
        """Return a copy of :meth:`state`, in ``room`` if given, for steps that leave no trace."""
        state = self._states.get(network) or self._first_state(network)
        if room is None:
            room = state.copy()
        else:
            room.restore(state)
        return self._with_numbers(room)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the rule's numbers as they are now, by the names of the arguments."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def set_hyperparameters(self, numbers: dict[str, Any]) -> None:
        """Set the rule's numbers to what :meth:`hyperparameters` returned."""
        for name, value in numbers.items():
            setattr(self, name, value)

    def _first_state(self, network: Sequential) -> OptimizerState:
        params = network.params
        vectors = np.zeros((self.state_vectors, params.size), params.dtype)
        return OptimizerState(np.zeros(1, UPDATE), vectors)

    def _with_numbers(self, state: OptimizerState) -> OptimizerState:
        for name, value in self._numbers().items():
            state.rule[name] = value
        return state

    def __getstate__(self) -> dict[str, Any]:
        """Weak references cannot be pickled: keep the networks beside their states."""
        return self.__dict__ | {"_states": list(self._states.items())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _states=WeakKeyDictionary(state["_states"]))

    def _numbers(self) -> dict[str, float]:
        return {"op": self.op, "lr": self.lr, "weight_decay": self.weight_decay}


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
    weight_decay : float
        Factor of the L2 penalty, 0 or more.
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

    op = Op.SGD
    state_vectors = 1
    momentum = _Checked(share_below_one)

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
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
        return super()._numbers() | {"beta1": self.momentum, "nesterov": self.nesterov}


def _two_shares(value: Any, name: str) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, not {value!r}.") from None
    return share_below_one(first, f"{name}[0]"), share_below_one(second, f"{name}[1]")


class Adam(Optimizer):
    """Steps by the gradient's running mean over the root of its running square.

    ``m = beta1 * m + (1 - beta1) * g``, ``s = beta2 * s + (1 - beta2) * g**2``, both corrected for
    their start at 0, and ``w = w - lr * m / (sqrt(s) + eps)``.

    Parameters
    ----------
    lr : float
        Learning rate, 0 or more.
    betas : (float, float)
        What is kept of the running mean and the running square, from 0 to 1 (without 1).
    eps : float
        Keeps the division finite, more than 0.
    weight_decay : float
        Factor of the L2 penalty, added to the gradient, 0 or more.

    References
    ----------
    Kingma and Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.Adam()
    Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
    """

    op = Op.ADAM
    state_vectors = 2
    betas = _Checked(_two_shares)
    eps = _Checked(above_zero)

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.betas, self.eps = betas, eps

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(lr={self.lr}, betas={self.betas}, eps={self.eps}, "
            f"weight_decay={self.weight_decay})"
        )

    def _numbers(self) -> dict[str, float]:
        beta1, beta2 = self.betas
        return super()._numbers() | {"beta1": beta1, "beta2": beta2, "eps": self.eps}


class AdamW(Adam):
    """Adam with decoupled weight decay: before each step, ``w = w * (1 - lr * weight_decay)``.

    Parameters
    ----------
    lr, betas, eps
        As in :class:`Adam`.
    weight_decay : float
        Share of the weights, times lr, that each step takes away; 0 or more.

    References
    ----------
    Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.AdamW(lr=0.01)
    AdamW(lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01)
    """

    op = Op.ADAMW

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)
