"""The base class of optimizers."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, ClassVar, NamedTuple, Protocol
from weakref import WeakKeyDictionary, ref

import numpy as np

from chainrule.engine.update import Run, UpdateOptions, UpdateProgram
from chainrule.operations.operation import find
from chainrule.optimizers.state import OptimizerState
from chainrule.utils.arguments import Check, Numbers, at_least_zero, fraction_below_one, shortened
from chainrule.utils.arrays import FloatArray
from chainrule.utils.patterns import by_pattern, check_patterns
from chainrule.utils.wording import possessive

PLAIN = UpdateOptions()

WeightDecay = float | dict[str, float]
LRFactors = dict[str, float]


class Trainable(Protocol):
    """The interface of a network for optimizers."""

    @property
    def params(self) -> FloatArray: ...
    @property
    def frozen(self) -> tuple[str, ...]: ...
    def parameters(self) -> dict[str, FloatArray]: ...
    def frozen_ranges(self) -> tuple[tuple[int, int], ...]: ...
    def apply_update(self, state: OptimizerState) -> None: ...


def weight_decay_number(value: Any, name: str, dtype: np.dtype | None = None) -> WeightDecay:
    """Return ``value`` as a finite float of 0 or more, or as a dict of such."""
    if not isinstance(value, Mapping):
        return at_least_zero(value, name, dtype)
    return check_patterns(value, at_least_zero, name, dtype)


def _lr(value: Any, name: str, dtype: np.dtype | None) -> float:
    if isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be one number, not {shortened(value)}: lr_factors={{'0.*': 0.1}} has "
            "factors of it for some parameters."
        )
    if hasattr(value, "lr"):
        raise TypeError(
            f"{name} must be a number, not {shortened(value)}: fit(schedule=...) takes schedules."
        )
    return at_least_zero(value, name, dtype)


def _lr_factors(value: Any, name: str, dtype: np.dtype | None) -> LRFactors | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a dict of name patterns and factors, such as {{'0.*': 0.1}}, not "
            f"{shortened(value)}."
        )
    return check_patterns(value, at_least_zero, name, dtype)


def two_fractions(value: Any, name: str, dtype: np.dtype | None) -> tuple[float, float]:
    """Return ``value`` as two floats from 0 to 1, without 1."""
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, not {value!r}.") from None
    given = (f"{name}[0]", first), (f"{name}[1]", second)
    one, other = (fraction_below_one(number, called, dtype) for called, number in given)
    return one, other


class _Latest(NamedTuple):
    """The state that was asked for last: as long as no number changes, it is up to date."""

    network: ref[Trainable]
    state: ref[OptimizerState]
    options: UpdateOptions
    numbers: Hashable
    patterns: Hashable  # what dicts of name patterns hold, which may change in place
    frozen: tuple[str, ...]

    def state_for(self, network: Trainable, options: UpdateOptions) -> OptimizerState | None:
        """Return the state if it is the right one; ``patterns`` are not looked at."""
        state, same = self.state(), self.options is options or self.options == options
        if state is None or not same or self.network() is not network:
            return None
        if network.frozen is not self.frozen:
            return None
        return state if state.numbers is self.numbers else None


def _takes_no_parameters(init: Callable[..., None]) -> Callable[..., None]:
    """Return an optimizer's ``__init__`` that refuses a network or its parameters, as PyTorch's."""
    known = signature(init).parameters

    @wraps(init)
    def checked(self: Optimizer, *args: Any, **numbers: Any) -> None:
        others = (value for name, value in numbers.items() if name not in known)
        for value in (*args[:1], *others):
            is_several = np.iterable(value) and not isinstance(value, str)
            if is_several or hasattr(value, "parameters"):
                made = f"cr.{type(self).__name__}(lr=0.1)"
                raise TypeError(
                    f"{made} takes no parameters: the network is given to cr.fit(net, ..., "
                    f"optimizer={made})."
                )
        init(self, *args, **numbers)

    return checked


class Optimizer(Numbers, ABC):
    """An update rule with its hyperparameters, and a state for each network that it has stepped."""

    operation: ClassVar[str]  # a file's name in chainrule.operations
    number_checks: ClassVar[dict[str, Check]] = {
        "lr": _lr,
        "weight_decay": weight_decay_number,
        "lr_factors": _lr_factors,
    }
    # The values of hyperparameters that older checkpoints lack.
    added_hyperparameters: ClassVar[dict[str, Any]] = {"lr_factors": None}

    lr: float
    weight_decay: WeightDecay
    lr_factors: LRFactors | None = None

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
        given = self.hyperparameters().items()
        numbers = (f"{name}={value!r}" for name, value in given if value is not None)
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
        latest = self._latest
        if latest is not None and (latest.patterns is None or latest.patterns == self._patterns):
            state = latest.state_for(network, options)
            if state is not None:
                state.lr = float(self.lr)  # going back to an earlier state restores its own
                return state
        self._check_in(network.params.dtype)
        runs = self._runs(network)
        state = self._states.get(network)
        if state is None:
            state = self._states[network] = self._first_state(network)
        self._with_numbers(state, network, runs, options)
        patterns = self._patterns if self._by_pattern else None
        frozen = network.frozen
        self._latest = _Latest(ref(network), ref(state), options, state.numbers, patterns, frozen)
        return state

    def trial_state(self, network: Trainable, copy: OptimizerState | None = None) -> OptimizerState:
        """Return a copy of :meth:`state`, in ``copy`` if given, for steps that do not change it."""
        self._check_in(network.params.dtype)
        runs = self._runs(network)
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
        elif self._by_pattern:  # dicts may have changed in place
            for name in ("weight_decay", "lr_factors"):
                self.checked(name, getattr(self, name), dtype)

    @property
    def _patterns(self) -> Hashable:
        """What dicts of name patterns hold; their order counts."""
        given = self.weight_decay, self.lr_factors
        return tuple(tuple(d.items()) if isinstance(d, dict) else d for d in given)

    @property
    def _by_pattern(self) -> bool:
        return isinstance(self.weight_decay, dict) or self.lr_factors is not None

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
            names = self.operation, rule, runs, network.frozen_ranges()
            program = UpdateProgram(params.size, params.dtype, options, *names)
            state.numbers, state.program = numbers, program
        state.lr = float(self.lr)
        return state

    def _runs(self, network: Trainable) -> list[Run]:
        """Return the parameters that are trained, in runs of neighbours with the same numbers."""
        views, frozen, kind = network.parameters(), network.frozen, type(self).__name__
        decays, factors = self.weight_decay, self.lr_factors or {}
        if not (frozen or factors or isinstance(decays, dict)):
            return [Run(0, network.params.size, decays)]
        if isinstance(decays, dict):
            decay_of = by_pattern(decays, views, 0.0, f"{possessive(kind)} weight_decay")
        else:
            decay_of = dict.fromkeys(views, decays)
        factor_of = by_pattern(factors, views, 1.0, f"{possessive(kind)} lr_factors")
        runs: list[Run] = []
        begin = 0
        for name, view in views.items():
            run = Run(begin, begin + view.size, decay_of[name], factor_of[name])
            begin = run.end
            if name in frozen:
                continue
            if runs and runs[-1].end == run.begin and runs[-1][2:] == run[2:]:
                run = run._replace(begin=runs.pop().begin)
            runs.append(run)
        return runs

    def __getstate__(self) -> dict[str, Any]:
        """Replace the weak references, which cannot be pickled, by the networks."""
        return self.__dict__ | {"_states": list(self._states.items()), "_latest": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _states=WeakKeyDictionary(state["_states"]), _latest=None)

    def _numbers(self) -> dict[str, float]:
        """Return the hyperparameters without learning rate and weight decay."""
        others = self.number_checks.keys() - {"lr", "weight_decay", "lr_factors"}
        numbers = {name: getattr(self, name) for name in sorted(others)}
        if "betas" in numbers:
            numbers["beta1"], numbers["beta2"] = numbers.pop("betas")
        return numbers

    def _first_value(self) -> float:
        """Return the state vectors' value before the first step."""
        return 0.0
