"""The base class of optimizers."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable, Mapping
from fnmatch import fnmatchcase
from functools import wraps
from math import prod
from typing import Any, ClassVar, NamedTuple, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np

from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.operations.operation import find
from chainrule.optimizers.state import OptimizerState
from chainrule.utils.arguments import Check, Numbers, at_least_zero, fraction_below_one, shortened
from chainrule.utils.arrays import FloatArray

PLAIN = UpdateOptions()

WeightDecay = float | dict[str, float]


class Trainable(Protocol):
    """The interface of a network for optimizers."""

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


def two_fractions(value: Any, name: str, dtype: np.dtype | None) -> tuple[float, float]:
    """Return ``value`` as two floats from 0 to 1, without 1."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, not {value!r}.") from None
    given = (f"{name}[0]", first), (f"{name}[1]", second)
    one, other = (fraction_below_one(number, called, dtype) for called, number in given)
    return one, other


def _items_of(decay: WeightDecay) -> Hashable:
    """Return a weight decay as what does not change in place; the order of patterns counts."""
    return tuple(decay.items()) if isinstance(decay, dict) else decay


class _Latest(NamedTuple):
    """The state that was asked for last: as long as no number changes, it is up to date."""

    network: ref[Trainable]
    state: ref[OptimizerState]
    options: UpdateOptions
    numbers: Hashable
    decay: Hashable  # the items of a dict, which may change in place

    def state_for(
        self, network: Trainable, options: UpdateOptions, decay: WeightDecay
    ) -> OptimizerState | None:
        """Return the state if it is the right one."""
        state, same = self.state(), self.options is options or self.options == options
        if state is None or not same or self.network() is not network:
            return None
        if _items_of(decay) != self.decay:
            return None
        return state if state.numbers is self.numbers else None


def _takes_no_parameters(init: Callable[..., None]) -> Callable[..., None]:
    """Return an optimizer's ``__init__`` that refuses a network or its parameters, as PyTorch's."""

    @wraps(init)
    def checked(self: Optimizer, *args: Any, **numbers: Any) -> None:
        first = args[0] if args else None
        is_several = np.iterable(first) and not isinstance(first, str)
        if is_several or hasattr(first, "parameters"):
            name = type(self).__name__
            raise TypeError(
                f"{name} takes hyperparameters alone, as in cr.{name}(lr=0.01), and no parameters: "
                "cr.fit, cr.train_step and optimizer.step(net) are given the network."
            )
        init(self, *args, **numbers)

    return checked


class Optimizer(Numbers, ABC):
    """An update rule with its hyperparameters, and a state for each network that it has stepped."""

    operation: ClassVar[str]  # a file's name in chainrule.operations
    number_checks: ClassVar[dict[str, Check]] = {
        "lr": at_least_zero,
        "weight_decay": _weight_decay,
    }
    # The values of hyperparameters that older checkpoints lack.
    added_hyperparameters: ClassVar[dict[str, Any]] = {}

    lr: float
    weight_decay: WeightDecay

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = _takes_no_parameters(cls.__init__)  # type: ignore[method-assign]

    def __init__(self, **numbers: Any) -> None:
        for name, value in numbers.items():
            setattr(self, name, value)
        self._states: WeakKeyDictionary[Trainable, OptimizerState] = WeakKeyDictionary()
        self._latest: _Latest | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.number_checks:
            value = self.checked(name, value)
            self.__dict__["_right_in"] = ()
            self.__dict__["_latest"] = None
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        numbers = (f"{name}={value!r}" for name, value in self.hyperparameters().items())
        return f"{type(self).__name__}({', '.join(numbers)})"

    def step(self, network: Trainable) -> None:
        """Change the network's parameters in place, by its gradients."""
        if not hasattr(network, "apply_update"):  # PyTorch's step takes a closure
            raise TypeError(f"step takes the network, not {shortened(network)}.")
        network.apply_update(self.state(network))

    @property
    def state_vectors(self) -> int:
        """The number of state vectors like the parameters, with the present hyperparameters."""
        return len(find(self.operation).state_with(self._numbers()))

    def state(self, network: Trainable, options: UpdateOptions = PLAIN) -> OptimizerState:
        """Return the state for ``network``, with the present hyperparameters.

        ``options`` are those of a training's steps.
        """
        latest = self._latest and self._latest.state_for(network, options, self.weight_decay)
        if latest is not None:
            latest.lr = float(self.lr)  # going back to an earlier state restores its own
            return latest
        self._check_in(network.params.dtype)
        runs = self._decay_runs(network)
        state = self._states.get(network)
        if state is None:
            state = self._states[network] = self._first_state(network)
        self._with_numbers(state, network, runs, options)
        decay = _items_of(self.weight_decay)
        self._latest = _Latest(ref(network), ref(state), options, state.numbers, decay)
        return state

    def trial_state(self, network: Trainable, copy: OptimizerState | None = None) -> OptimizerState:
        """Return a copy of :meth:`state`, in ``copy`` if given, for steps that do not change it."""
        self._check_in(network.params.dtype)
        runs = self._decay_runs(network)
        state = self._states.get(network) or self._first_state(network)
        if copy is None:
            copy = state.copy()
        else:
            copy.restore(state)
        return self._with_numbers(copy, network, runs, PLAIN)

    def _check_in(self, dtype: np.dtype) -> None:
        """Check all hyperparameters in this dtype, unless it was done since they were set."""
        if dtype not in self.__dict__.get("_right_in", ()):
            self.check_numbers(dtype)
            self.__dict__["_right_in"] = (*self.__dict__.get("_right_in", ()), dtype)
        elif isinstance(self.weight_decay, dict):  # which may have changed in place
            self.checked("weight_decay", self.weight_decay, dtype)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the present hyperparameters, by the names of the constructor's arguments."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def set_hyperparameters(self, numbers: dict[str, Any]) -> None:
        """Set the hyperparameters to the result of :meth:`hyperparameters`."""
        for name, value in numbers.items():
            setattr(self, name, value)

    def _first_state(self, network: Trainable) -> OptimizerState:
        params = network.params
        return OptimizerState(np.empty((0, params.size), params.dtype))

    def _with_numbers(
        self, state: OptimizerState, network: Trainable, runs: list[Run], options: UpdateOptions
    ) -> OptimizerState:
        rule, params = self._numbers(), network.params
        numbers = tuple(rule.items()), tuple(runs), options
        if numbers != state.numbers:
            state.select_vectors(find(self.operation).state_with(rule), self._first_value())
            program = UpdateProgram(params.size, params.dtype, options, self.operation, rule, runs)
            state.numbers, state.program = numbers, program
        state.lr = float(self.lr)
        return state

    def _decay_runs(self, network: Trainable) -> list[Run]:
        """Return begin, end and weight decay of each run of parameters with the same decay."""
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
        """Replace the weak references, which cannot be pickled, by the networks."""
        return self.__dict__ | {"_states": list(self._states.items()), "_latest": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _states=WeakKeyDictionary(state["_states"]), _latest=None)

    def _numbers(self) -> dict[str, float]:
        """Return the hyperparameters without learning rate and weight decay."""
        others = self.number_checks.keys() - {"lr", "weight_decay"}
        numbers = {name: getattr(self, name) for name in sorted(others)}
        if "betas" in numbers:
            numbers["beta1"], numbers["beta2"] = numbers.pop("betas")
        return numbers

    def _first_value(self) -> float:
        """Return the state vectors' value before the first step."""
        return 0.0
